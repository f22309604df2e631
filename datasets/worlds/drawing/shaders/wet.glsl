// Water on surfaces: they darken, and level ones mirror what stands on them.
#ifdef WET
uniform sampler2D u_mirror; // the street upside down, seen from the same place
uniform vec2 u_size;        // of the picture, in pixels

bool takes_water() {
    return MATERIAL == ASPHALT || MATERIAL == PAVING || MATERIAL == MARKING;
}

// 0 film .. 1 standing water.
float puddle(vec3 position) {
    if (MATERIAL == MARKING) return 0.25;
    float low = 0.65 * noise(position.xz * 0.043 + 0.17).r + 0.35 * noise(position.xz * 0.19).r;
    return smoothstep(0.58 - 0.14 * u_wetness, 0.66 - 0.10 * u_wetness, low);
}

void soak(inout Surface s, vec3 normal) {
    if (MATERIAL == GLASS || MATERIAL == LAMP || MATERIAL == GLOWING || MATERIAL == CAR_PAINT) return;
    float rained_on = takes_water() || MATERIAL == GRASS || MATERIAL == ROOF ? 1.0 : 0.45;
    s.albedo *= 1.0 - 0.45 * u_wetness * rained_on;
}

vec3 mirrored(vec3 light, vec3 position, vec3 normal, float facing) {
    if (!takes_water() || normal.y < 0.9) return light;
    float deep = puddle(position);
    float ripple = noise(position.xz * 0.7).g - 0.5;
    vec2 at = gl_FragCoord.xy / u_size + vec2(0.012, 0.05) * ripple * (1.0 - 0.8 * deep);
    float smear = mix(0.085, 0.008, deep);
    vec3 seen = 0.34 * texture(u_mirror, at).rgb
        + 0.24 * (texture(u_mirror, at + vec2(0.0, smear * 0.5)).rgb + texture(u_mirror, at - vec2(0.0, smear * 0.5)).rgb)
        + 0.09 * (texture(u_mirror, at + vec2(0.0, smear)).rgb + texture(u_mirror, at - vec2(0.0, smear)).rgb);
    float fresnel = 0.03 + 0.97 * pow(1.0 - facing, 5.0);
    return mix(light, seen, fresnel * u_wetness * mix(0.58, 0.88, deep));
}
#endif
