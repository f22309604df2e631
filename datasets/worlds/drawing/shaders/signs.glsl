// Faces of signs and boards.
// Rows of marks that look like words from afar; `size` in units of p.
float words(vec2 p, vec2 size, float seed) {
    vec2 at = p / size;
    float row = floor(at.y), column = floor(at.x);
    float letter = step(0.22, fract(at.x)) * step(0.3, fract(at.y));
    float space = step(0.22, hash(vec2(floor(at.x * 0.2 + row * 0.37), row) + seed * 9.0));
    return letter * space * step(0.30, hash(floor(vec2(at.x * 2.5, at.y * 3.0)) + seed));
}

// SIGN params: x face kind, y half size (m), z seed, w width over height. uv from the face's centre in metres.
vec3 sign_face(vec3 base, vec2 uv, vec4 params) {
    vec2 p = uv / params.y;
    float r = length(p), kind = params.x, seed = params.z, box = max(abs(p.x), abs(p.y));
    vec3 white = vec3(0.80), ink = vec3(0.03), red = vec3(0.50, 0.01, 0.01);
    float glyph = step(0.55, hash(floor(vec2(abs(p.x) * (seed > 0.5 ? 1.0 : 1.7) + 4.0, p.y + 9.0) * 4.0) + seed * 40.0));
    float lean = abs(p.x + (seed > 0.5 ? p.y : -p.y));
    if (kind < 0.5) {                                                                                   // ban, limit
        float digits = step(abs(abs(p.x) - 0.22), 0.15) * step(abs(p.y), 0.36) * step(0.25, hash(floor(p * vec2(9.0, 4.0)) + seed));
        return r > 0.74 ? base : mix(white, ink, seed < 0.5 ? digits : glyph * step(r, 0.5));
    }
    if (kind < 1.5) {                                                                                   // order: an arrow
        vec2 q = seed < 0.33 ? p : seed < 0.66 ? vec2(p.y, -p.x) : vec2(p.x + p.y, p.y - p.x) * 0.7;
        float shaft = step(abs(q.x), 0.13) * step(abs(q.y), 0.55), head = step(abs(q.x) + abs(q.y - 0.2) * 0.9, 0.42) * step(0.2, q.y);
        return mix(base, white, max(max(shaft, head), step(0.93, r)));
    }
    if (kind < 2.5) return abs(p.y) < 0.2 && abs(p.x) < 0.7 || r > 0.94 ? white : base;                 // no entry
    if (kind < 3.5) {                                                                                   // warning
        float e = max(abs(p.x) * 1.5 + p.y * 0.87, -p.y * 1.7);
        vec3 ground = seed > 0.85 ? vec3(0.75, 0.50, 0.02) : white;
        return e > 0.60 ? base : mix(ground, ink, glyph * step(e, 0.3));
    }
    if (kind < 4.5) return box > 0.9 ? white : mix(base, base.r > 0.5 ? ink : white, words(p + 3.0, vec2(0.22, 0.42), seed));
    if (kind < 5.5) {                                                                                   // advert
        vec3 tint = vec3(hash(vec2(seed, 1.0)), hash(vec2(seed, 2.0)), hash(vec2(seed, 3.0)));
        vec3 poster = mix(base, tint, smoothstep(0.42, 0.58, noise(p * 0.12 + seed).r));
        return mix(poster, white, words(p + 5.0, vec2(0.16, 0.3), seed) * step(p.y, -0.2));
    }
    if (kind < 6.5) return r > 0.90 ? white : mix(base, white, step(abs(p.y), 0.24) * step(abs(p.x), 0.72) * step(0.3, fract(p.x * 2.7)));
    if (kind < 7.5) {                                                                                   // diamond
        float e = abs(p.x) + abs(p.y);
        if (seed < 0.4) return e > 0.72 ? white : base;
        return e > 0.92 ? base : e > 0.85 ? ink : mix(base, ink, glyph * step(e, 0.55));
    }
    if (kind < 8.5) return max(abs(p.x) * 1.5 - p.y * 0.87, p.y * 1.7) > 0.60 ? base : white;           // give way
    if (kind < 9.5) return mix(white, seed < 0.6 ? base : ink, step(0.5, fract((abs(p.y) + p.x) * 1.1)));
    if (kind < 10.5) {                                                                                  // name, direction
        vec3 letters = base.r > 0.4 ? ink : white;
        return mix(base, letters, step(abs(p.y), params.w > 2.0 ? 0.6 : 0.3) * words(p + 7.0, vec2(0.34, 1.2), seed) * step(abs(p.x), 4.6));
    }
    if (kind < 11.5) {                                                                                  // parking
        float stem = step(abs(p.x + 0.25), 0.12) * step(abs(p.y), 0.62);
        float bow = step(abs(length((p - vec2(-0.1, 0.26)) * vec2(0.8, 1.0)) - 0.27), 0.10) * step(-0.25, p.x);
        return mix(base, white, max(max(stem, bow), step(0.92, box)));
    }
    if (kind < 12.5) return lean < 0.16 || r > 0.93 ? ink : mix(base, base * 0.55, glyph * step(r, 0.5)); // end of a limit
    if (kind < 13.5) {                                                                                  // crossing
        float tent = step(abs(p.x) * 1.3 + p.y * 0.8, 0.50) * step(-0.55, p.y);
        return mix(mix(base, white, tent), ink, tent * step(abs(p.x + 0.1 * p.y), 0.12) * step(p.y, 0.3));
    }
    if (kind < 15.5) return mix(base, ink, max(words(p + 3.0, vec2(0.22, 0.3), seed) * step(abs(p.x), 0.85), step(0.95, abs(p.x))));
    if (kind < 16.5) return r > 0.76 || lean < 0.17 || seed > 0.6 && abs(p.x - p.y) < 0.17 ? red : base; // no stopping
    if (kind < 17.5) {                                                                                  // American limit
        float digits = step(abs(p.y + 0.2), 0.4) * step(abs(abs(p.x) - 0.27), 0.19) * step(0.3, hash(floor(p * vec2(7.0, 4.0)) + seed));
        return abs(abs(p.x) - 0.62) < 0.03 || abs(abs(p.y) - 0.92) < 0.03 ? ink : mix(base, ink, max(digits, words(p, vec2(0.16, 0.2), seed) * step(0.35, p.y)));
    }
    vec3 letters = base.r > 0.4 ? ink : white;                                                          // direction board
    vec2 rim = abs(p) - vec2(params.w, 1.0) * 0.93;
    float row = words(p + 11.0, vec2(0.17, 0.46), seed) * step(-params.w * 0.55, p.x) * step(abs(p.x), params.w * 0.82) * step(abs(p.y), 0.8);
    float arrow = step(abs(p.x + params.w * 0.72) * 1.2 + abs(p.y) * 0.7, 0.22 + 0.1 * seed);
    return mix(base, letters, max(max(row, arrow), step(0.0, max(rim.x, rim.y))));
}
