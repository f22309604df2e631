// Light after dark: street lamps and the camera car's own headlights. Nothing here casts shadows.
#ifdef NIGHT
const int LAMPS = 12;
uniform vec4 u_lamp_position[LAMPS];  // w: 1 shines every way, negative in a cone
uniform vec3 u_lamp_color[LAMPS];
uniform vec3 u_lamp_direction[LAMPS]; // zero where it shines every way
uniform int u_lamp_count;
uniform vec3 u_headlight_position;
uniform vec3 u_headlight_direction;   // level, where the car looks
uniform float u_headlight;

// A lamp's colour is what it gives a surface six metres away.
vec3 lamplight(vec3 at, vec3 normal) {
    vec3 sum = vec3(0.0);
    for (int i = 0; i < u_lamp_count; i++) { // no branches: software rasterisers run both sides
        vec3 way = u_lamp_position[i].xyz - at;
        float square = dot(way, way) + 1e-3;
        vec3 towards = way * inversesqrt(square);
        float cutoff = max(1.0 - square / 900.0, 0.0);
        float cone = clamp(u_lamp_position[i].w - 1.7 * dot(towards, u_lamp_direction[i]), 0.0, 1.0);
        float lambert = max(0.15 + 0.85 * dot(normal, towards), 0.0);
        sum += u_lamp_color[i] * (lambert * cone * cutoff * cutoff * 37.0 / (square + 1.0));
    }
    return sum;
}

// Low beam: wide and flat, cut off above the lamps' own height. Signs, and a little the markings, throw it back.
vec3 headlight(vec3 at, vec3 normal, vec3 to_eye, float far) {
    vec3 way = at - u_headlight_position;
    float square = dot(way, way);
    vec3 out_of_lamp = way * inversesqrt(square + 1e-4);
    float ahead = dot(normalize(vec2(out_of_lamp.x, out_of_lamp.z)), u_headlight_direction.xz);
    float beam = smoothstep(0.80, 0.985, ahead) * mix(1.0, 0.07, smoothstep(-0.02, 0.03, out_of_lamp.y));
    float lambert = max(dot(normal, -out_of_lamp), 0.0);
    if (MATERIAL == SIGN) lambert += 1.6;
    if (MATERIAL == MARKING) lambert += 0.10;
    return vec3(1.0, 0.95, 0.86) * (u_headlight * beam * lambert * 800.0 / (square + 60.0));
}
#endif
