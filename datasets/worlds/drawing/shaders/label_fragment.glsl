// Class and instance of the nearest surface, without antialiasing.
uniform vec3 u_eye;
in vec3 v_position;
in vec3 v_normal;
in vec2 v_uv;
flat in vec4 v_params;
flat in uvec2 v_kind;
flat in uint v_instance;
layout(location = 0) out uint f_class;
layout(location = 1) out uint f_instance;
void main() {
#ifdef HOLES
    float facing = abs(dot(normalize(v_normal), normalize(u_eye - v_position)));
    if (is_hole(MATERIAL, v_position, v_normal, v_uv, v_params, facing)) discard;
#endif
    f_class = v_kind.y;
    f_instance = v_instance;
}
