// Which fragments of a surface with holes exist. The image and the label pass share this file; with LABELS
// defined, bare crowns and railings become solid regions, the way people annotate them.
//
// FOLIAGE params: x seed, y hole threshold (0 dense .. 1 thin), z 1 for a card of leaves (uv: number + place on it),
// w blossoms.  TWIGS: x seed, y thinness.
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
    if (material == FOLIAGE && params.z > 0.5) {
        vec2 q = fract(uv) * 2.0 - 1.0;
        float rim = dot(q, q);
#ifdef LABELS
        return rim > 0.80; // people draw around the crown, not around its leaves
#else
        vec4 leaf = noise(uv * 0.31 + params.x);
        rim *= 0.55 + 0.9 * leaf.r;
        return 0.60 * leaf.a + 0.40 * leaf.g < 0.25 + 0.20 * params.y + 0.24 * rim * rim + 0.3 * step(1.25, rim);
#endif
    }
    vec3 at = position + params.x * 17.0;
    float rim = 1.0 - facing; // the silhouette frays, the middle stays closed
    rim *= rim;
#ifdef SHADOW
    return noise(at.xz * 0.31).a < (material == FOLIAGE ? 0.42 : 0.62);
#else
    float coarse = noise(at.xz * 0.16 + at.y * vec2(0.11, 0.13)).r;
    if (material == FOLIAGE) {
        float leaf = solid_noise(at * 0.42, normal).a;
        return coarse * 0.35 + leaf * 0.65 < params.y * 0.48 + rim * 0.26;
    }
#ifdef LABELS
    return coarse < 0.30 + rim * 0.20;
#else
    // Thin branching lines: where smooth noise crosses its mean, at two sizes.
    float wide = abs(solid_noise(at * 0.33, normal).r - 0.5);
    float fine = abs(solid_noise(at * 0.83, normal).r - 0.5);
    float fat = 0.014 + 0.05 * length(fwidth(at.xy));
    bool line = wide < fat || fine < fat * 1.7;
    return !line || coarse < 0.33 + 0.15 * params.y + rim * 0.30;
#endif
#endif
}
