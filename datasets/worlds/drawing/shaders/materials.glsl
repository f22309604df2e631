// What a surface is made of. `uv` is in metres everywhere.
uniform vec3 u_eye; // the camera, in metres

struct Surface {
    vec3 albedo;
    float gloss;
    vec3 glow;
    float mirror; // share of the sky's mirror image at normal incidence
    vec3 bend;    // added to the normal: leaves look every way
};
