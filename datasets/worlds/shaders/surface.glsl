// What each material looks like before light falls on it. `uv` is in metres.
#define PLAIN 0u
#define ASPHALT 1u
#define PAVING 2u
#define FACADE 3u
#define ROOF 4u
#define FOLIAGE 5u
#define TWIGS 6u
#define GRASS 7u
#define CAR_PAINT 8u
#define GLASS 9u
#define MARKING 10u
#define GLOWING 11u
#define CLOTH 12u
#define SIGN 13u
#define BARK 15u
#define MASONRY 16u
#define PLANKS 17u

struct Surface {
    vec3 albedo;
    float gloss;
    vec3 glow;
    float mirror; // share of the sky's mirror image at normal incidence
    vec3 bend;    // added to the normal: leaves look every way
};

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

// Wall surfaces: 0 plaster, 1 brick, 2 stone, 3 curtain glass, 4 concrete panels.
vec3 wall(vec3 base, vec2 uv, float kind, float seed, vec2 pixel) {
    vec4 dirt = noise(uv * vec2(0.05, 0.022) + seed * 5.0);
    vec4 fine = noise(uv * 0.37 + seed);
    vec3 tone = base * (0.84 + 0.30 * (dirt.r - 0.5) + 0.14 * (fine.g - 0.5) + 0.12 * dirt.a);
    if (kind < 0.5 || kind > 2.5 && kind < 3.5) return tone;
    vec2 size = kind < 1.5 ? vec2(0.24, 0.085) : kind < 2.5 ? vec2(0.9, 0.4) : vec2(2.4, 1.5);
    vec2 at = uv / size;
    if (kind < 3.5) at.x += step(0.5, fract(at.y * 0.5)) * 0.5;
    float fade = clamp(1.0 - max(pixel.x / size.x, pixel.y / size.y) * 1.4, 0.0, 1.0);
    vec2 edge = abs(fract(at) - 0.5);
    float joint = max(smoothstep(0.42, 0.5, edge.x), smoothstep(0.38, 0.5, edge.y));
    tone *= 1.0 + (hash(floor(at) + seed) - 0.5) * 0.32 * fade;
    return mix(tone, kind < 1.5 ? tone * 1.35 + 0.03 : tone * 0.7, joint * fade * 0.6);
}

// FACADE params: x bay width (m), y floor height (m), z window share of the bay (negative: shops below),
// w wall kind + seed in its fraction. uv: x along the front, y above the ground.
Surface facade(vec3 base, vec2 uv, vec4 params, vec2 pixel) {
    float kind = floor(params.w), seed = fract(params.w);
    bool shops = params.z < 0.0;
    vec2 size = params.xy;
    float ground = shops ? size.y * 1.15 : size.y;
    Surface s = Surface(wall(base, uv, kind, seed, pixel), 0.05, vec3(0.0), 0.0, vec3(0.0));
    float streak = noise(vec2(uv.x * 0.9, uv.y * 0.03) + seed).r;
    s.albedo *= 0.86 + 0.24 * streak;
    s.albedo *= mix(0.72, 1.0, smoothstep(0.0, 0.9, uv.y)); // splashes and dirt at the foot
    bool at_ground = uv.y < ground;
    float floor_number = at_ground ? 0.0 : floor((uv.y - ground) / size.y) + 1.0;
    vec2 local = vec2(fract(uv.x / size.x) * size.x, at_ground ? uv.y : mod(uv.y - ground, size.y));
    vec2 cell = vec2(floor(uv.x / size.x), floor_number);
    float luck = hash(cell + seed * 311.0), luck2 = hash(cell * 1.7 + seed * 97.0);
    vec3 trim = mix(vec3(0.78, 0.76, 0.70), base * 0.5, step(0.6, fract(seed * 7.3)));
    float share = clamp(abs(params.z), 0.2, 0.92);
    float tall = mix(0.45, 0.66, fract(seed * 13.7));
    vec2 low, high;
    if (at_ground && shops) {
        float door = step(0.72, hash(cell + 5.0));
        low = vec2(size.x * 0.06, mix(0.45, 0.05, door));
        high = vec2(size.x * 0.94, ground - 0.95);
        vec3 front = 0.15 + 0.75 * vec3(hash(vec2(seed, 1.0) + floor(cell.x / 2.0)), hash(vec2(seed, 2.0) + floor(cell.x / 2.0)),
                                        hash(vec2(seed, 3.0) + floor(cell.x / 2.0)));
        front = mix(vec3(dot(front, vec3(0.333))), front, 0.65) * 0.55;
        s.albedo = mix(s.albedo, front * (0.8 + 0.3 * streak), 0.85);
        float board = band(ground - 0.85, ground - 0.15, uv.y, pixel.y);
        float letters = band(ground - 0.65, ground - 0.35, uv.y, pixel.y) * step(0.45, noise(vec2(uv.x * 1.1, seed)).g)
            * band(0.15 * size.x, 0.85 * size.x, local.x, pixel.x);
        s.albedo = mix(s.albedo, mix(front * 1.2, vec3(0.9, 0.88, 0.8), letters), board);
    } else if (kind > 2.5 && kind < 3.5) {
        low = vec2(0.04, at_ground ? 0.1 : 0.35); high = vec2(size.x - 0.04, size.y - 0.06);
    } else {
        low = vec2(size.x * (0.5 - share * 0.5), size.y * (0.55 - tall * 0.5));
        high = vec2(size.x * (0.5 + share * 0.5), size.y * (0.55 + tall * 0.5));
        if (at_ground && luck2 > 0.7) { low.y = 0.05; low.x = size.x * 0.32; high = vec2(size.x * 0.68, 2.15); }
        float surround = band(low.x - 0.12, high.x + 0.12, local.x, pixel.x) * band(low.y - 0.16, high.y + 0.12, local.y, pixel.y);
        s.albedo = mix(s.albedo, trim * (0.8 + 0.3 * streak), surround * step(0.35, fract(seed * 5.1)));
        float sill = band(low.x - 0.16, high.x + 0.16, local.x, pixel.x) * band(low.y - 0.14, low.y, local.y, pixel.y);
        s.albedo = mix(s.albedo, trim, sill * 0.8);
        float under = band(low.x - 0.1, high.x + 0.1, local.x, pixel.x) * band(low.y - 0.45, low.y - 0.14, local.y, pixel.y);
        s.albedo *= 1.0 - 0.22 * under;
        float course = band(-0.02, 0.14, local.y, pixel.y) * step(0.5, fract(seed * 3.7));
        s.albedo = mix(s.albedo, trim * 0.9, course * 0.7);
    }
    float pane = band(low.x, high.x, local.x, pixel.x) * band(low.y, high.y, local.y, pixel.y);
    vec2 inside = (local - low) / (high - low);
    float bars = 1.0;
    float columns = (at_ground && shops) ? 2.0 : 2.0 + step(0.6, fract(seed * 23.0));
    bars -= 1.0 - step(0.035, abs(fract(inside.x * columns + 0.5) - 0.5));
    bars -= 1.0 - step(0.03, abs(fract(inside.y * 2.0 + 0.5) - 0.5));
    bars = max(bars, 0.0) * step(0.05, min(min(inside.x, 1.0 - inside.x), min(inside.y, 1.0 - inside.y)));
    vec3 room = vec3(0.025, 0.028, 0.032) + 0.09 * luck * noise(uv * 0.3 + luck).a;
    if (luck2 < 0.45 && !(kind > 2.5 && kind < 3.5)) // curtains and blinds
        room = mix(room, vec3(0.55, 0.52, 0.46) * (0.5 + luck * 0.5), step(inside.x, 0.2) + step(0.8, inside.x) + step(1.0 - luck * 0.7, inside.y));
    if (at_ground && shops) room = mix(room, vec3(luck, luck2, fract(luck * 9.0)) * 0.5, 0.5 * noise(uv * vec2(0.5, 0.35) + luck).a);
    vec3 shown = mix(trim * 0.85, room, bars);
    float reveal = max(smoothstep(0.80, 1.0, inside.y), smoothstep(0.10, 0.0, inside.x)); // the lintel's shadow
    shown *= 1.0 - 0.55 * reveal;
    s.albedo = mix(s.albedo, shown, pane);
    s.mirror = pane * bars * mix(0.16, 0.42, step(2.5, kind) * step(kind, 3.5));
    s.gloss = mix(s.gloss, 0.9, pane * bars);
    float lit = step(0.93, hash(cell * 3.1 + seed)) * pane * bars;
    s.glow = vec3(0.9, 0.65, 0.35) * lit * 0.35 + ((at_ground && shops) ? vec3(0.5, 0.42, 0.3) * pane * bars * luck * 0.3 : vec3(0.0));
    return s;
}

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

Surface surface(uint material, vec3 base, float gloss, vec3 position, vec3 normal, vec2 uv, vec4 params) {
    vec2 pixel = fwidth(uv);
    Surface s = Surface(base, gloss, vec3(0.0), 0.0, vec3(0.0));
    vec2 plane = vec2(position.x + position.z * 0.7, position.y + position.z * 0.4);
    if (material == ASPHALT) {
        s.albedo = asphalt(base, uv, params.x);
        float track = abs(abs(fract(uv.x / params.y) - 0.5) - 0.25);                   // worn wheel tracks
        s.albedo *= 1.0 + 0.12 * smoothstep(0.10, 0.0, track) * noise(uv * vec2(0.1, 0.01)).r;
        s.albedo *= 1.0 - 0.20 * smoothstep(0.46, 0.5, abs(fract(uv.x / params.y) - 0.5)) * noise(uv * 0.03).a;
        vec2 cover = mod(uv + params.x * 31.0, vec2(9.7, 23.0)) - vec2(4.0, 11.0);     // manholes
        float lid = smoothstep(0.36, 0.33, length(cover));
        s.albedo = mix(s.albedo, vec3(0.10) + 0.05 * step(0.5, fract(length(cover) * 14.0)), lid);
        s.gloss = params.z * smoothstep(0.35, 0.75, noise(uv * 0.045 + 0.37).r);        // damp
    } else if (material == PAVING) s.albedo = paving(base, uv, params, pixel);
    else if (material == FACADE) return facade(base, uv, params, pixel);
    else if (material == ROOF) {
        vec2 tile = abs(fract(uv / vec2(0.32, 0.28)) - 0.5);
        float fade = clamp(1.0 - max(pixel.x, pixel.y) * 2.2, 0.0, 1.0);
        s.albedo = base * (0.75 + 0.4 * noise(uv * 0.06).r) * (1.0 - 0.3 * smoothstep(0.36, 0.5, max(tile.x, tile.y)) * fade);
    } else if (material == FOLIAGE) {
        vec4 clump = noise(position.xz * 0.21 + params.x), leaf = solid_noise(position * 0.42 + params.x * 17.0, normal);
        float sunlit = smoothstep(0.30, 0.75, leaf.a * 0.55 + leaf.g * 0.45);
        s.albedo = base * (0.25 + 0.40 * clump.r + 1.0 * sunlit);
        s.albedo = mix(s.albedo, s.albedo * vec3(1.30, 1.08, 0.65), clump.a * 0.6);
        s.albedo *= mix(0.45, 1.15, smoothstep(-0.7, 0.8, normal.y + (leaf.r - 0.5) * 1.2));
        s.bend = (leaf.rga - 0.5) * 2.2;
    } else if (material == TWIGS) s.albedo = base * (0.6 + 0.8 * noise(plane * 0.5).r);
    else if (material == GRASS) {
        vec4 tuft = noise(uv * 0.30), field = noise(uv * 0.017);
        s.albedo = base * (0.55 + 0.5 * tuft.r + 0.5 * (tuft.g - 0.4) + 0.3 * field.r);
        s.albedo = mix(s.albedo, vec3(0.36, 0.29, 0.19) * (0.6 + tuft.g), smoothstep(0.52, 0.75, field.a) * 0.7);
    } else if (material == CAR_PAINT) {
        float dirt = smoothstep(0.75, 0.15, params.y) * (0.3 + noise(plane * 0.3).r) * params.x;
        s.albedo = mix(base, vec3(0.33, 0.30, 0.26), dirt * 0.6);
        s.mirror = 0.05; s.gloss = gloss * (1.0 - dirt);
    } else if (material == GLASS) { s.albedo = base * 0.5; s.mirror = 0.14; }
    else if (material == MARKING) {
        float worn = smoothstep(params.y - 0.2, params.y + 0.25, 0.55 * noise(uv * 0.23 + params.x).r + 0.45 * noise(uv * 0.9).g);
        s.albedo = mix(asphalt(vec3(0.30), uv, 0.3), base * (0.8 + 0.25 * noise(uv * 0.1).r), worn);
    } else if (material == GLOWING) { s.glow = base * params.x; s.albedo = base * 0.6; s.mirror = 0.05; }
    else if (material == CLOTH) {
        s.albedo = base * (0.75 + 0.5 * noise(plane * 0.9 + params.x).r);
        if (params.y > 0.5) s.albedo = mix(s.albedo, vec3(0.75), step(0.5, fract(position.y * 9.0)) * 0.6);
    } else if (material == SIGN) s.albedo = sign_face(base, uv, params);
    else if (material == BARK) s.albedo = base * (0.55 + 0.8 * noise(vec2(uv.x * 1.5, uv.y * 0.3)).r + 0.3 * (noise(uv * 1.9).g - 0.5));
    else if (material == MASONRY) s.albedo = wall(base, uv, params.x, params.y, pixel) * mix(0.7, 1.0, smoothstep(0.0, 0.4, uv.y));
    else if (material == PLANKS) {
        float gap = smoothstep(0.42, 0.5, abs(fract(uv.x / 0.14) - 0.5)) * clamp(1.0 - pixel.x * 8.0, 0.0, 1.0);
        s.albedo = base * (0.7 + 0.5 * hash(vec2(floor(uv.x / 0.14), 3.0)) * clamp(1.0 - pixel.x * 5.0, 0.0, 1.0) + 0.3 * noise(uv * vec2(0.9, 0.1)).r) * (1.0 - 0.6 * gap);
    } else s.albedo = base * (0.82 + 0.28 * noise(plane * 0.19).r + 0.10 * (noise(plane * 0.8).g - 0.5));
    return s;
}
