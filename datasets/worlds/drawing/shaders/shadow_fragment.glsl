// Shadow maps: only depth, but the holes let light through.
in vec3 v_position;
in vec3 v_normal;
in vec2 v_uv;
flat in vec4 v_params;
void main() {
#ifdef HOLES
    if (is_hole(MATERIAL, v_position, v_normal, v_uv, v_params, 0.8)) discard;
#endif
}
