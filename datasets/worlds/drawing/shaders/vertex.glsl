// Moves a vertex to the camera (or to the light) and hands its attributes on.
in vec3 in_position;
in vec3 in_normal;
in vec2 in_uv;
in vec4 in_params;
in vec4 in_color;
in uvec2 in_kind;
in uint in_instance;

invariant gl_Position; // several passes must agree on the depth to the last bit

uniform mat4 u_clip_from_world;

out vec3 v_position;
out vec3 v_normal;
out vec2 v_uv;
flat out vec4 v_params;
flat out vec4 v_color;
flat out uvec2 v_kind;
flat out uint v_instance;

void main() {
    v_position = in_position;
    v_normal = in_normal;
    v_uv = in_uv;
    v_params = in_params;
    v_color = in_color;
    v_kind = in_kind;
    v_instance = in_instance;
    gl_Position = u_clip_from_world * vec4(in_position, 1.0);
}
