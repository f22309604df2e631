// The sky behind everything.
uniform mat4 u_world_from_clip;
uniform vec3 u_eye;
uniform float u_haze;
in vec2 v_corner;
out vec4 f_color;
void main() {
    vec4 far = u_world_from_clip * vec4(v_corner, 1.0, 1.0);
    vec3 ray = normalize(far.xyz / far.w - u_eye);
    float low = exp(-max(ray.y, 0.0) * 9.0) * u_haze;
    float air = in_air(u_eye.y, max(ray.y, 0.0), 250.0); // beyond that lies clear sky
    f_color = vec4(mix(cloudy_sky(ray), u_fog_color, max(low, air)), 1.0);
}
