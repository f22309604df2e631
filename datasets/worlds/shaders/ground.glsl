// Asphalt and paving.
// Asphalt in colour `base`: grain, blotches, repairs, cracks.
vec3 asphalt(vec3 base, vec2 uv, float seed) {
    vec4 wide = noise(uv * 0.021 + seed);
    vec4 near = noise(uv * 0.33 + seed * 3.0);
    float tone = 0.72 + 0.38 * wide.r + 0.55 * (near.g - 0.5) + 0.16 * (noise(uv * 0.11).a - 0.5);
    vec2 cell = floor(uv / vec2(3.1, 7.3) + wide.a * 0.08);
    float patch_tone = hash(cell + seed * 91.0);
    if (patch_tone > 0.80) tone *= mix(0.72, 1.16, fract(patch_tone * 37.0));
    float cracks = noise(uv * 0.052 + seed).b * smoothstep(0.42, 0.62, wide.a);
    return base * tone * (1.0 - 0.55 * cracks);
}

// PAVING params: x 0 asphalt, 1 slabs, 2 bricks; y unit size (m); z seed.
vec3 paving(vec3 base, vec2 uv, vec4 params, vec2 pixel) {
    if (params.x < 0.5) return asphalt(base, uv, params.z);
    vec2 size = params.x < 1.5 ? vec2(params.y, params.y * 0.75) : vec2(params.y * 0.5, params.y * 0.25);
    vec2 at = uv / size;
    at.x += step(0.5, fract(at.y * 0.5)) * 0.5;
    vec2 edge = abs(fract(at) - 0.5) * size;
    float joint = max(smoothstep(size.x * 0.5 - 0.025, size.x * 0.5, edge.x + pixel.x * 0.3),
                      smoothstep(size.y * 0.5 - 0.025, size.y * 0.5, edge.y + pixel.y * 0.3));
    float fade = clamp(1.0 - max(pixel.x, pixel.y) / size.y * 1.5, 0.0, 1.0);
    float unit_tone = mix(0.5, hash(floor(at) + params.z * 50.0), fade);
    vec4 dirt = noise(uv * 0.07 + params.z);
    return base * (0.74 + 0.30 * unit_tone + 0.35 * (dirt.r - 0.4)) * (1.0 - 0.45 * joint * fade);
}
