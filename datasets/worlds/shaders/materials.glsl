// Numbers of the materials and what a surface is made of. `uv` is in metres everywhere.
#define PLAIN 0u
#define ASPHALT 1u
#define PAVING 2u
#define FACADE 3u
#define ROOF 4u
#define FOLIAGE 5u
#define TWIGS 6u
#define GRASS 7u
#define CAR_PAINT 8u
#define GLASS 9u
#define MARKING 10u
#define GLOWING 11u
#define CLOTH 12u
#define SIGN 13u
#define BARK 15u
#define MASONRY 16u
#define PLANKS 17u
#define LAMP 18u

uniform vec3 u_eye; // the camera, in metres

struct Surface {
    vec3 albedo;
    float gloss;
    vec3 glow;
    float mirror; // share of the sky's mirror image at normal incidence
    vec3 bend;    // added to the normal: leaves look every way
};
