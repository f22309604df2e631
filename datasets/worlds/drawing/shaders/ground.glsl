// Asphalt, concrete, cobbles, paving and paint on the road.
// Asphalt in colour `base`: grain, blotches, repairs, cracks. `age` 0 fresh .. 1 broken.
vec3 asphalt(vec3 base, vec2 uv, float seed, float age) {
    vec4 wide = noise(uv * 0.021 + seed);
    vec4 near = noise(uv * 0.33 + seed * 3.0);
    float tone = 0.72 + 0.38 * wide.r + 0.55 * (near.g - 0.5) + 0.20 * age * (noise(uv * 0.11).a - 0.3);
    vec2 cell = floor(uv / vec2(3.1, 7.3) + wide.a * 0.08);
    float patch_tone = hash(cell + seed * 91.0);
    if (patch_tone > 0.94 - 0.22 * age) tone *= mix(0.62, 1.22, fract(patch_tone * 37.0));
    float trench = abs(uv.x - (hash(vec2(floor(uv.y / 29.0), seed)) - 0.5) * 9.0);   // where pipes were laid
    tone *= 1.0 - 0.22 * age * (1.0 - smoothstep(0.38, 0.42, trench));
    float line = noise(uv * 0.052 + seed).b * smoothstep(0.72 - 0.36 * age, 0.86 - 0.32 * age, wide.a);
    return base * tone * (1.0 - (seed > 0.5 ? 0.75 : 0.5) * line);
}

vec3 asphalt(vec3 base, vec2 uv, float seed) { return asphalt(base, uv, seed, 0.5); }

// Stones of `size` in rows, each second row shifted by half a stone: their tone, dark joints, and dirt on top.
vec3 stones(vec3 base, vec2 uv, vec2 size, float gap, float contrast, float seed, vec2 pixel) {
    vec2 at = uv / size;
    at.x += step(0.5, fract(at.y * 0.5)) * 0.5;
    vec2 edge = abs(fract(at) - 0.5) * size;
    float joint = max(smoothstep(size.x * 0.5 - gap, size.x * 0.5, edge.x + pixel.x * 0.3),
                      smoothstep(size.y * 0.5 - gap, size.y * 0.5, edge.y + pixel.y * 0.3));
    float fade = clamp(1.0 - max(pixel.x / size.x, pixel.y / size.y) * 1.2, 0.0, 1.0);
    float unit_tone = mix(0.5, hash(floor(at) + seed * 50.0), fade);
    vec4 dirt = noise(uv * 0.07 + seed);
    return base * (0.89 + contrast * (unit_tone - 0.5) + 0.35 * (dirt.r - 0.4)) * mix(0.86, 1.0 - 0.45 * joint, fade);
}

// ASPHALT params: x seed; y lane width (m); z dampness; w kind (0 asphalt, 1 concrete slabs, 2 cobbles) + age.
Surface road_surface(vec3 base, float gloss, vec2 uv, vec4 params, vec2 pixel) {
    float seed = params.x, kind = floor(params.w), age = fract(params.w);
    vec3 albedo;
    if (kind > 1.5) albedo = stones(base, uv, vec2(0.22, 0.14), 0.028, 0.42, seed, pixel);
    else {
        albedo = asphalt(base, uv, seed, kind > 0.5 ? 0.15 : age);
        if (kind > 0.5) {
            vec2 slab = vec2(params.y, 5.5), edge = abs(fract(uv / slab) - 0.5) * slab;
            float joint = max(smoothstep(-0.05, -0.01, edge.x - slab.x * 0.5), smoothstep(-0.05, -0.01, edge.y - slab.y * 0.5));
            albedo *= (1.12 + 0.22 * (hash(floor(uv / slab) + seed) - 0.5)) * (1.0 - 0.6 * joint);
        }
    }
    float lane = abs(fract(uv.x / params.y) - 0.5);
    vec2 worn = noise(uv * vec2(0.1, 0.01) + seed).ra;
    albedo *= 1.0 + (seed > 0.4 ? 0.20 : -0.22) * smoothstep(0.11, 0.0, abs(lane - 0.25)) * worn.x;  // wheel tracks
    albedo *= 1.0 - 0.30 * age * smoothstep(0.46, 0.5, lane) * worn.y;                              // seams of the lanes
    albedo *= 1.0 - 0.45 * smoothstep(0.13, 0.02, lane) * smoothstep(0.55, 0.85, worn.y);            // oil
    vec2 cover = mod(uv + seed * 31.0, vec2(9.7, 23.0)) - vec2(4.0, 11.0);                           // lids
    float reach = seed > 0.7 ? max(abs(cover.x), abs(cover.y)) * 1.15 : length(cover);
    float lid = smoothstep(0.36, 0.33, reach);
    albedo = mix(albedo, min(albedo * 0.75, vec3(0.12)) * (0.7 + 0.5 * step(0.5, fract(reach * 14.0))), lid);
    float damp = params.z * smoothstep(0.35, 0.75, noise(uv * 0.045 + 0.37).r);
    return Surface(albedo, damp, vec3(0.0), 0.0, vec3(0.0));
}

// PAVING params: x 0 asphalt, 1 slabs, 2 bricks, 3 square plates, 4 small stones; y unit size (m); z seed.
vec3 paving(vec3 base, vec2 uv, vec4 params, vec2 pixel) {
    float kind = params.x, seed = params.z;
    vec3 tone;
    if (kind < 0.5) tone = asphalt(base, uv, seed);
    else {
        float unit = params.y;
        vec2 size = kind < 1.5 ? vec2(unit, unit * 0.75) : kind < 2.5 ? vec2(unit * 0.5, unit * 0.25)
                  : kind < 3.5 ? vec2(unit * 0.45) : vec2(unit, unit);
        tone = stones(base, uv, size, kind > 3.5 ? 0.02 : 0.025, 0.30, seed, pixel);
        float mended = step(0.90, hash(floor(uv / vec2(1.9, 3.3)) + seed * 17.0));
        tone = mix(tone, base * 0.62 * (0.8 + 0.4 * noise(uv * 0.33).g), mended * step(0.5, seed));  // holes filled with tar
    }
    vec2 plate = abs(mod(uv + seed * 13.0, vec2(5.3, 11.0)) - vec2(2.0, 5.0));                         // covers
    tone = mix(tone, min(tone * 0.6, vec3(0.12)), smoothstep(0.02, 0.0, max(plate.x - 0.30, plate.y - 0.42)) * 0.8);
    float litter = step(0.994 + 0.0055 * fract(seed * 7.0), hash(floor(uv * 14.0)));                    // leaves, paper, gum
    vec3 speck = mix(vec3(0.22, 0.13, 0.05), vec3(0.28), step(0.6, fract(seed * 11.0)));
    return mix(tone, speck, litter * clamp(1.0 - max(pixel.x, pixel.y) * 12.0, 0.0, 1.0));
}

// MARKING params: x seed; y wear, 0 fresh .. 1 gone; z grey of the asphalt below (sRGB).
vec3 marking(vec3 base, vec2 uv, vec4 params) {
    float worn = smoothstep(params.y - 0.2, params.y + 0.25, 0.55 * noise(uv * 0.23 + params.x).r + 0.45 * noise(uv * 0.9).g);
    float below = pow(params.z, 2.2) * (0.7 + 0.6 * noise(uv * 0.33).g);
    return mix(vec3(below), base * (0.8 + 0.25 * noise(uv * 0.1).r), worn);
}
