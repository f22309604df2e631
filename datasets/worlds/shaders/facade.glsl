// Walls, and house fronts with windows and shops.
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
