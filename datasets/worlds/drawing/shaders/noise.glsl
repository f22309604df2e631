// Tiled noise from a mip-mapped texture, so that distant surfaces do not sparkle.
// Channels: r smooth fractal, g fine grain, b crack lines (1 on a line), a blotches. One tile is 1.0 of uv.
uniform sampler2D u_noise;

vec4 noise(vec2 at) { return texture(u_noise, at); }

// Noise on a curved surface: three projections, weighed by the normal; `at` is in tiles.
vec4 solid_noise(vec3 at, vec3 normal) {
    vec3 w = normal * normal;
    w /= w.x + w.y + w.z;
    return noise(at.zy) * w.x + noise(at.xz + 0.31) * w.y + noise(at.xy + 0.63) * w.z;
}

float hash(vec2 cell) {
    vec3 p = fract(vec3(cell.xyx) * 0.1031);
    p += dot(p, p.yzx + 33.33);
    return fract((p.x + p.y) * p.z);
}

// 1 inside [low, high] with an edge one pixel soft.
float band(float low, float high, float x, float pixel) {
    float soft = max(pixel, 1e-4) * 0.7;
    return smoothstep(low - soft, low + soft, x) * (1.0 - smoothstep(high - soft, high + soft, x));
}
