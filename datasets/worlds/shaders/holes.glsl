// Which fragments of a surface with holes exist. The image and the label pass share this file; with LABELS
// defined, bare crowns and railings become solid regions, the way people annotate them.
#define FOLIAGE 5u
#define TWIGS 6u
#define RAILING 14u

// FOLIAGE params: x seed, y hole threshold (0 dense .. 1 thin).  TWIGS: x seed, y thinness.
// RAILING params: x bar spacing (m), y bar width (m), z height (m), w 1 for horizontal wires.
bool is_hole(uint material, vec3 position, vec3 normal, vec2 uv, vec4 params, float facing) {
    if (material == RAILING) {
#ifdef LABELS
        return false;
#else
        float bar = abs(fract(uv.x / params.x) - 0.5) * params.x;
        bool upright = bar < params.y * 0.5;
        bool rail = uv.y > params.z - 0.07 || (uv.y > 0.10 && uv.y < 0.16);
        bool wires = params.w > 0.5 && abs(fract(uv.y / 0.25) - 0.5) * 0.25 < 0.02;
        return !(upright || rail || wires);
#endif
    }
    vec2 plane = vec2(position.x + position.z * 0.6, position.y + position.z * 0.35) + params.x * 17.0;
    vec2 cross_plane = vec2(position.z - position.x * 0.5, position.y * 0.8 + position.x * 0.4) + params.x * 7.0;
    float coarse = 0.5 * (noise(plane * 0.16).r + noise(cross_plane * 0.16).r);
    if (material == FOLIAGE) {
        float leaf = noise(plane * 0.9).a;
        float rim = 1.0 - facing; // the silhouette frays, the middle stays closed
        return coarse * 0.65 + leaf * 0.35 < params.y * 0.55 + rim * rim * 0.24;
    }
    float rim = 1.0 - facing;
#ifdef LABELS
    return coarse < 0.30 + rim * rim * 0.20;
#else
    // Thin branching lines: the zero crossings of stretched noise at three sizes.
    float l1 = abs(noise(plane * vec2(0.30, 0.13)).r - 0.5);
    float l2 = abs(noise(cross_plane * vec2(0.55, 0.25) + 0.3).r - 0.5);
    float l3 = abs(noise(plane * vec2(1.1, 0.5) + 0.7).r - 0.5);
    float pixel = length(fwidth(plane));
    float fat = 0.016 + 0.10 * pixel;
    bool line = l1 < fat || l2 < fat * 1.1 || l3 < fat * 1.5;
    return !line || coarse < 0.27 + 0.2 * params.y + rim * rim * 0.22;
#endif
}
