// Walls, and house fronts with windows and shops.
// Wall surfaces: 0 plaster, 1 brick, 2 stone, 3 curtain glass, 4 concrete panels, 5 corrugated sheet.
vec3 wall(vec3 base, vec2 uv, float kind, float seed, vec2 pixel) {
    vec4 dirt = noise(uv * vec2(0.05, 0.022) + seed * 5.0);
    vec4 fine = noise(uv * 0.37 + seed);
    vec3 tone = base * (0.80 + 0.36 * (dirt.r - 0.5) + 0.16 * (fine.g - 0.5) + 0.16 * dirt.a);
    if (kind < 0.5 || kind > 2.5 && kind < 3.5) return tone;
    if (kind > 4.5) return tone * (1.0 - 0.35 * abs(fract(uv.x / 0.28) - 0.5) * clamp(1.5 - pixel.x / 0.14, 0.0, 1.0));
    vec2 size = kind < 1.5 ? vec2(0.24, 0.085) : kind < 2.5 ? vec2(0.9, 0.4) : vec2(2.4, 1.5);
    vec2 at = uv / size;
    if (kind < 3.5) at.x += step(0.5, fract(at.y * 0.5)) * 0.5;
    float fade = clamp(1.0 - max(pixel.x / size.x, pixel.y / size.y) * 1.4, 0.0, 1.0);
    vec2 edge = abs(fract(at) - 0.5);
    float joint = max(smoothstep(0.42, 0.5, edge.x), smoothstep(0.38, 0.5, edge.y));
    tone *= 1.0 + (hash(floor(at) + seed) - 0.5) * 0.32 * fade;
    return mix(tone, kind < 1.5 ? tone * 1.35 + 0.03 : tone * 0.7, joint * fade * 0.6);
}

// 1 inside a rectangle with edges one pixel soft.
float rect(vec2 low, vec2 high, vec2 at, vec2 pixel) {
    return band(low.x, high.x, at.x, pixel.x) * band(low.y, high.y, at.y, pixel.y);
}

// Letters that nobody can read: `at` counts letters along x and runs 0..1 from foot to head; `size` is one pixel in it.
float letters(vec2 at, float seed, vec2 size) {
    float luck = hash(vec2(floor(at.x), seed * 57.0));
    vec2 q = vec2(fract(at.x) * 1.35, at.y);
    vec4 has = step(0.42, fract(luck * vec4(7.0, 13.0, 29.0, 53.0)));
    // With a right stem only, or with a foot only, they would look mirrored or upside down.
    float ink = max(step(abs(q.x - mix(0.5, 0.13, has.x)), 0.12), step(abs(q.x - 0.87), 0.12) * has.x * has.y);
    ink = max(ink, max(step(0.82, q.y) * has.z, max(step(q.y, 0.18) * has.w * max(has.x, has.z), step(abs(q.y - 0.5), 0.09) * has.x)));
    ink *= step(q.x, 1.0) * step(abs(q.y - 0.5), 0.5) * step(0.14, luck);
    return mix(ink, 0.42 * step(abs(at.y - 0.5), 0.5), smoothstep(0.25, 0.6, size.x));
}

vec3 hue(float seed) {
    vec3 color = 0.08 + 0.72 * vec3(hash(vec2(seed, 1.0)), hash(vec2(seed, 2.0)), hash(vec2(seed, 3.0)));
    return mix(vec3(dot(color, vec3(0.333))), color, 0.75);
}

// What stands behind a shop's glass, seen at `at` (metres along, metres above the ground): shelves or figures.
vec3 display(vec2 at, float unit, float luck) {
    vec2 goods = floor(at * vec2(5.0, 2.2));
    float item = hash(goods + unit * 7.0);
    float shelf = step(0.16, fract(at.y * 2.2)) * step(fract(at.y * 2.2), 0.35 + 0.55 * item);
    vec3 shelves = mix(vec3(0.07, 0.06, 0.055), hue(item * 91.0 + unit) * (0.3 + 0.6 * item), shelf);
    vec2 q = vec2((fract(at.x / 0.9) - 0.5) * 0.9, at.y - 0.25);
    float who = hash(vec2(floor(at.x / 0.9), unit));
    float head = step(length((q - vec2(0.0, 1.52)) / vec2(0.10, 0.13)), 1.0);
    float body = step(abs(q.x) - 0.05 * smoothstep(0.8, 1.2, q.y), 0.17) * step(q.y, 1.36) * step(0.70, q.y);
    float legs = step(abs(abs(q.x) - 0.08), 0.06) * step(q.y, 0.72) * step(0.0, q.y);
    vec3 figure = mix(mix(vec3(0.30, 0.27, 0.24), vec3(0.06), legs), hue(who * 37.0), body);
    figure = mix(figure, vec3(0.48, 0.36, 0.28), head);
    figure = mix(vec3(0.32, 0.29, 0.25) * (0.5 + 0.3 * luck), figure, max(head, max(body, legs)) * step(0.25, who));
    return mix(shelves, figure, step(0.5, luck));
}

// FACADE params: x bay width (m), y floor height (m), z floors + window share of the bay (negative: shops below),
// w wall kind + seed in its fraction; `code`: the grammar's number (see facade_grammar.py).
// uv: x along the front to the right as seen from outside, y above the ground.
Surface facade(vec3 base, float code, vec3 position, vec3 normal, vec2 uv, vec4 params, vec2 pixel) {
    float kind = floor(params.w), seed = fract(params.w), g = floor(code * 32.0);
    bool shops = params.z < 0.0;
    vec2 size = params.xy;
    float share = fract(abs(params.z)), floors = floor(abs(params.z));
    float ground = shops ? size.y * 1.15 : size.y;
    float georgian = float(g == 1.0), victorian = float(g == 2.0), timber = float(g == 3.0), shutters = float(g == 4.0);
    float bands = float(g == 5.0), curtain = float(g == 6.0), loggias = float(g == 7.0), shed = float(g == 8.0);
    float works = float(g == 9.0), church = float(g == 10.0);
    vec4 pick = fract(seed * vec4(7.3, 13.7, 5.1, 23.0));

    // The line of sight through the wall: where it lies one metre behind the front.
    vec3 eye = normalize(u_eye - position);
    vec3 along = normalize(vec3(-normal.z, 0.0, normal.x) + vec3(0.0, 1e-4, 0.0));
    vec2 deeper = -vec2(dot(eye, along), eye.y) / max(dot(eye, normal), 0.14);

    bool at_ground = uv.y < ground;
    bool shop = shops && at_ground;
    float level = at_ground ? 0.0 : floor((uv.y - ground) / size.y) + 1.0;
    vec2 local = vec2(fract(uv.x / size.x) * size.x, at_ground ? uv.y : mod(uv.y - ground, size.y));
    vec2 cell = vec2(floor(uv.x / size.x), level);
    float luck = hash(cell + seed * 311.0), luck2 = hash(cell * 1.7 + seed * 97.0);
    float unit = seed * 53.0 + floor(cell.x * 0.5);
    float column = hash(vec2(cell.x, seed * 71.0));

    // The wall, its stains and its ornaments.
    Surface s = Surface(wall(base, uv, kind, seed, pixel), 0.05, vec3(0.0), 0.0, vec3(0.0));
    float streak = noise(vec2(uv.x * 0.55, uv.y * 0.03) + seed).r;
    vec3 trim = mix(vec3(0.74, 0.72, 0.66), base * 0.45, step(0.6, pick.x)) * (0.8 + 0.3 * streak);
    trim = mix(trim, vec3(0.045, 0.035, 0.03), timber);
    float roofline = ground + (floors - 1.0) * size.y;
    s.albedo *= (0.80 + 0.36 * streak) * mix(0.66, 1.0, smoothstep(0.0, 1.0, uv.y + 0.6 * streak - 0.3));
    s.albedo *= 1.0 - 0.30 * smoothstep(roofline - 0.55, roofline - 0.1, uv.y) * step(uv.y, roofline);
    s.albedo = mix(s.albedo, trim * 0.8, step(uv.y, 0.5) * step(0.55, pick.z) * float(!shop) * 0.8);     // plinth
    float course = band(-0.02, 0.16, local.y, pixel.y) * step(0.5, fract(seed * 3.7) + victorian) * (1.0 - curtain - shed);
    s.albedo = mix(s.albedo, trim * 0.9, course * 0.8);
    float stripes = victorian * step(0.5, pick.y) * band(0.62, 0.72, fract(local.y / size.y * 2.0), pixel.y);
    s.albedo = mix(s.albedo, base * 1.5 + 0.06, stripes * 0.6);
    float slant = abs(fract(local.x / size.x + (luck > 0.5 ? 1.0 : -1.0) * local.y / size.y) - 0.5) * size.x;
    float beams = max(max(step(min(local.x, size.x - local.x), 0.09), step(min(local.y, size.y - local.y), 0.11)),
                      max(step(abs(local.y - size.y * 0.30), 0.06), step(slant, 0.07) * step(local.y, size.y * 0.30)));
    s.albedo = mix(s.albedo, trim, beams * timber * float(!at_ground));
    s.albedo = mix(s.albedo, mix(hue(seed * 9.0) * 0.8, base * 0.6, pick.x) * (0.7 + 0.5 * streak),
                   bands * step(local.y, size.y * 0.34) * step(0.45, pick.z) * float(!at_ground));        // spandrels

    // The opening: its rectangle, arch, depth and bars.
    float tall = mix(0.46, 0.62, pick.y) + 0.06 * georgian + 0.04 * victorian + 0.10 * works + 0.25 * church;
    float middle = 0.55 - 0.03 * georgian - 0.08 * church;
    vec2 low = vec2(size.x * (0.5 - share * 0.5), size.y * (middle - tall * 0.5));
    vec2 high = vec2(size.x * (0.5 + share * 0.5), size.y * (middle + tall * 0.5));
    float attic = georgian * float(level > 1.5 && level > floors - 1.5);
    high.y -= attic * size.y * 0.22;
    float arch = 0.16 * victorian * step(0.4, pick.w) + works * 0.35 + church * share * size.x * 0.8;
    float depth = 0.16 + 0.10 * georgian + 0.12 * works + 0.10 * kind * step(kind, 2.5);
    vec2 grid = vec2(2.0 + step(0.6, pick.w), 2.0);
    grid = mix(grid, vec2(3.0, 4.0), georgian);
    grid = mix(grid, vec2(4.0, 6.0), works);
    grid = mix(grid, vec2(1.0, 2.0), victorian);
    if (bands + curtain > 0.5) {
        low = vec2(0.03, curtain > 0.5 ? 0.30 * step(0.3, pick.x) : size.y * 0.36);
        high = vec2(size.x - 0.03, size.y * mix(0.86, 0.98, curtain));
        grid = vec2(1.0 + bands, 1.0);
        depth = 0.09;
    }
    float loggia = loggias * step(0.5, column) * float(!at_ground);
    if (loggia > 0.5) { low = vec2(0.08, 0.10); high = vec2(size.x - 0.08, size.y - 0.22); depth = 1.1; grid = vec2(3.0, 1.0); }
    bool roller = shed > 0.5 && column > 0.55;
    if (shed > 0.5) {
        low = roller ? vec2(size.x * 0.14, 0.0) : vec2(0.25, size.y * 0.62);
        high = roller ? vec2(size.x * 0.86, size.y * 0.68) : vec2(size.x - 0.25, size.y * 0.80);
        grid = vec2(5.0, 1.0);
    }
    float every = 2.0 + floor(fract(seed * 41.0) * 3.0);
    bool door = at_ground && !shops && shed + church < 0.5 && share < 0.77
        && abs(mod(cell.x, every) - floor(fract(seed * 29.0) * every)) < 0.5;
    if (door) { low = vec2(size.x * 0.5 - 0.52, 0.02); high = vec2(size.x * 0.5 + 0.52, 2.55); arch *= 0.5; }
    vec3 paintwork = hue(unit) * 0.42;
    bool shop_door = column > 0.74;
    if (shop) {
        low = shop_door ? vec2(size.x * 0.5 - 0.6, 0.04) : vec2(size.x * 0.05, mix(0.25, 0.75, hash(vec2(unit, 4.0))));
        high = vec2(shop_door ? size.x * 0.5 + 0.6 : size.x * 0.95, ground - 0.98);
        arch = 0.0; depth = shop_door ? 0.5 : 0.08; grid = vec2(1.0 + step(0.5, luck), 1.0);
        s.albedo = mix(s.albedo, paintwork * (0.75 + 0.4 * streak), 0.88);
        s.albedo *= 0.75 + 0.25 * smoothstep(0.02, 0.06, abs(fract(local.x / size.x * 2.0) - 0.5) * size.x) // panels
            * smoothstep(0.02, 0.06, abs(local.y - low.y * 0.5));
        vec2 text = vec2((fract(uv.x / (2.0 * size.x)) - 0.12) * 2.0 * size.x / 0.34, (uv.y - ground + 0.70) / 0.42);
        float plate = band(ground - 0.86, ground - 0.14, uv.y, pixel.y);
        float ink = letters(text, unit, pixel / 0.34) * step(0.0, text.x) * step(text.x, 2.0 * size.x * 0.76 / 0.34);
        vec3 board = mix(paintwork * 1.25, hue(unit + 31.0), step(0.4, hash(vec2(unit, 8.0))));
        vec3 paper = dot(board, vec3(0.333)) > 0.3 ? vec3(0.03) : mix(vec3(0.85, 0.82, 0.72), hue(unit + 5.0) + 0.4, 0.4);
        s.albedo = mix(s.albedo, mix(board * (0.85 + 0.25 * streak), paper, ink), plate);
        s.glow = mix(board, paper, ink) * plate * u_night * 0.8 * step(0.35, hash(vec2(unit, 9.0)));
    }
    float across = clamp((local.x - low.x) / (high.x - low.x), 0.0, 1.0);
    float spring = abs(across - 0.5) * 2.0;
    float top = high.y - arch * mix(spring * spring, spring, church);

    // Frame, sill, lintel, shutters about it.
    float plain = float(!shop) * (1.0 - bands - curtain - loggia - shed);
    float around = rect(low - vec2(0.13, 0.16), vec2(high.x + 0.13, top + 0.14 + 0.14 * victorian), local, pixel);
    s.albedo = mix(s.albedo, trim, around * plain * step(0.35, pick.z + georgian));
    float sill = rect(low - vec2(0.18, 0.15), vec2(high.x + 0.18, low.y), local, pixel) * float(!door);
    s.albedo = mix(s.albedo, trim, sill * plain * 0.85);
    float stain = rect(vec2(low.x - 0.1, low.y - 0.9), vec2(high.x + 0.1, low.y - 0.15), local, pixel);
    s.albedo *= 1.0 - (0.10 + 0.35 * streak) * stain * plain * smoothstep(low.y - 0.95, low.y - 0.15, local.y);
    float leaves = rect(low - vec2(0.62, 0.0), vec2(high.x + 0.62, high.y), local, pixel) * shutters * plain * float(!door);
    float slats = 0.7 + 0.3 * smoothstep(0.1, 0.3, abs(fract(local.y * 9.0) - 0.5) + pixel.y * 6.0);
    s.albedo = mix(s.albedo, hue(seed * 77.0) * 0.55 * slats, leaves);

    // The pane lies behind the wall; what is seen between is the reveal.
    float opening = rect(low, vec2(high.x, top), local, pixel);
    vec2 behind = local + deeper * depth;
    float glass = rect(low, vec2(high.x, top), behind, pixel) * opening;
    vec2 inside = clamp((behind - low) / (high - low), 0.0, 1.0);
    vec3 reveal = mix(trim, s.albedo, 0.5) * (behind.y > high.y ? 0.25 : behind.y < low.y ? 0.9 : 0.55);
    vec2 line = abs(fract(inside * grid + 0.5) - 0.5) / grid * (high - low);
    float bars = smoothstep(0.018, 0.03 + min(pixel.x, 0.08), line.x) * smoothstep(0.02, 0.035 + min(pixel.y, 0.08), line.y);
    bars = mix(bars, 1.0, float(loggia > 0.5) * step(inside.x * 3.0, 1.0) * 0.5);
    vec2 far = local + deeper * (shop ? 0.9 : 0.35);
    vec3 room = vec3(0.018, 0.020, 0.024) + 0.10 * luck * noise(uv * 0.3 + seed).a;
    vec3 cloth = mix(vec3(0.50, 0.47, 0.42), hue(luck * 19.0) * 0.6 + 0.1, step(0.75, luck)) * (0.55 + luck * 0.5)
        * (0.75 + 0.35 * abs(fract(far.x * 6.0) - 0.5) * 2.0);
    float drawn = step(far.x - low.x, (high.x - low.x) * 0.30 * luck) + step(high.x - far.x, (high.x - low.x) * 0.30 * luck);
    float blind = step(1.0 - luck2 * 0.9, inside.y) * step(0.62, luck);
    float dressed = step(luck2, 0.62) * (1.0 - curtain * 0.6) * (1.0 - works) * (1.0 - shed) * (1.0 - church);
    room = mix(room, cloth, clamp(drawn + blind, 0.0, 1.0) * dressed);
    room = mix(room, vec3(0.16, 0.06, 0.04) + 0.5 * hue(floor(far.x * 3.0) + floor(far.y * 2.0)) * 0.3, church * 0.6);
    float lights = shop ? 0.30 + 0.7 * hash(vec2(unit, 6.0)) : 0.0;
    bool closed = (shop && hash(vec2(unit, 12.0)) > 0.86) || roller;
    if (shop) {
        room = display(vec2(uv.x, uv.y) + deeper * 0.9, unit, hash(vec2(unit, 13.0))) * (0.3 + 0.7 * lights);
        vec2 bill = floor(uv * vec2(0.9, 1.1));                                         // posters on the glass
        float poster = step(0.80, hash(bill + unit)) * rect(vec2(0.12), vec2(0.80), fract(uv * vec2(0.9, 1.1)), pixel);
        float print = letters(fract(uv * vec2(0.9, 1.1)) * vec2(8.0, 4.0) - vec2(0.0, 2.0), luck, pixel * 8.0);
        room = mix(room, mix(hue(hash(bill) * 61.0) + 0.15, vec3(0.8), print), poster);
    }
    if (closed) {
        float graffiti = smoothstep(0.50, 0.53, noise(uv * vec2(0.22, 0.30) + unit).r) * step(uv.y, 2.3) * step(0.4, luck);
        room = mix(vec3(0.30, 0.31, 0.32), hue(unit + 17.0) * 0.5, 0.35) * (0.7 + 0.3 * abs(fract(local.y * 9.0) - 0.5) * 2.0);
        room = mix(room, hue(unit + floor(uv.x)), graffiti * 0.8);
        bars = 1.0;
    } else if (door) {
        float panels = step(0.07, min(abs(inside.x - 0.5), min(inside.x, 1.0 - inside.x))) * step(0.05, abs(inside.y - 0.42));
        room = inside.y > 0.82 ? room : hue(unit + cell.x) * 0.35 * mix(0.7, 1.0, panels);
        bars = inside.y > 0.82 ? step(abs(inside.y - 0.9), 0.07) : 1.0;
    }
    float pane = glass * bars * float(!closed) * float(!door || inside.y > 0.82);
    vec3 frame = mix(mix(vec3(0.62), trim, 0.5), vec3(0.05), step(0.7, pick.x) + curtain * 0.7);
    frame = shop ? paintwork * 1.2 : frame;
    vec3 shown = mix(reveal, mix(frame, room, bars), glass);
    shown *= 1.0 - 0.5 * smoothstep(0.80, 1.0, inside.y) * glass;                       // the lintel's shadow
    s.albedo = mix(s.albedo, shown, opening);
    float rail = loggia * rect(vec2(0.0, 0.08), vec2(size.x, size.y * 0.40), local, pixel);
    vec3 panel = mix(hue(seed * 5.0) * 0.7, base * 1.1, step(0.5, pick.z)) * (0.7 + 0.4 * streak);
    s.albedo = mix(s.albedo, panel, rail);
    pane *= 1.0 - rail;
    s.mirror = pane * mix(0.13 + 0.12 * luck, 0.42, curtain);
    s.gloss = mix(s.gloss, 0.9, pane);
    s.bend = (vec3(luck, luck2, column) - 0.5) * 0.05 * pane;
    float lit = step(mix(0.95, 0.55, u_night), hash(cell * 3.1 + seed)) * mix(0.35, 0.9, u_night) * step(0.05, u_night + curtain + pick.w);
    vec3 lamp = mix(vec3(1.0, 0.70, 0.36), vec3(0.85, 0.95, 1.0), step(0.7, luck) * 0.8);
    s.glow += pane * (shop ? room * lights * mix(0.3, 2.2, u_night) : lamp * lit * (0.25 + room * 1.5));
    return s;
}
