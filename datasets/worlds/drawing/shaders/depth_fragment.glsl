// The image's depth before its colours: here the holes are cut.
uniform vec3 u_eye;
in vec3 v_position;
in vec3 v_normal;
in vec2 v_uv;
flat in vec4 v_params;
void main() {
#ifdef HOLES
    float facing = abs(dot(normalize(v_normal), normalize(u_eye - v_position)));
    if (is_hole(MATERIAL, v_position, v_normal, v_uv, v_params, facing)) discard;
#endif
}
