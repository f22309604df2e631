// Faces of signs and boards.
// SIGN params: x face kind 0..5, y half size (m), z seed. uv from the face's centre in metres.
vec3 sign_face(vec3 base, vec2 uv, vec4 params) {
    vec2 p = uv / params.y;
    float r = length(p), kind = params.x;
    vec3 white = vec3(0.86), ink = vec3(0.05);
    float glyph = step(0.55, hash(floor(p * 4.0 + 9.0) + params.z * 40.0));
    if (kind < 0.5) return r > 0.72 ? base : mix(white, ink, glyph * step(r, 0.5));                     // ban, limit
    if (kind < 1.5) return mix(base, white, step(abs(p.x), 0.16) * step(abs(p.y), 0.6));                // blue disc
    if (kind < 2.5) return abs(p.y) < 0.2 && abs(p.x) < 0.7 ? white : base;                             // no entry
    if (kind < 3.5) {                                                                                   // warning
        float e = max(abs(p.x) * 1.5 + p.y * 0.87, -p.y * 1.7);
        return e > 0.60 ? base : mix(white, ink, glyph * step(e, 0.3));
    }
    float border = step(0.90, max(abs(p.x), abs(p.y)));
    if (kind < 4.5) return mix(mix(base, white, step(0.5, noise(p * vec2(0.13, 0.05) + params.z).g) * step(0.35, fract(p.y * 2.5))), white, border);
    vec3 board = mix(base, vec3(hash(vec2(params.z, 1.0)), hash(vec2(params.z, 2.0)), hash(vec2(params.z, 3.0))),
                     smoothstep(0.42, 0.58, noise(p * 0.12 + params.z).r));                              // advert
    return mix(board, white, step(0.6, noise(p * vec2(0.2, 0.06) + params.z * 3.0).g) * step(p.y, 0.1));
}
