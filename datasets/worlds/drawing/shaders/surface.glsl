// What each material looks like before light falls on it.
Surface surface(uint material, vec3 base, float gloss, vec3 position, vec3 normal, vec2 uv, vec4 params) {
    vec2 pixel = fwidth(uv);
    Surface s = Surface(base, gloss, vec3(0.0), 0.0, vec3(0.0));
    vec2 plane = vec2(position.x + position.z * 0.7, position.y + position.z * 0.4);
    if (material == ASPHALT) return road_surface(base, gloss, uv, params, pixel);
    if (material == PAVING) s.albedo = paving(base, uv, params, pixel);
    else if (material == FACADE) return facade(base, gloss, position, normal, uv, params, pixel);
    else if (material == ROOF) {
        vec2 tile = abs(fract(uv / vec2(0.32, 0.28)) - 0.5);
        float fade = clamp(1.0 - max(pixel.x, pixel.y) * 2.2, 0.0, 1.0);
        s.albedo = base * (0.75 + 0.4 * noise(uv * 0.06).r) * (1.0 - 0.3 * smoothstep(0.36, 0.5, max(tile.x, tile.y)) * fade);
    } else if (material == FOLIAGE) {
        bool card = params.z > 0.5;
        vec4 clump = noise(position.xz * 0.21 + params.x);
        vec4 leaf = card ? noise(uv * 0.31 + params.x + 0.5) : solid_noise(position * 0.42 + params.x * 17.0, normal);
        float sunlit = smoothstep(0.28, 0.75, leaf.a * 0.5 + leaf.g * 0.5);
        s.albedo = base * (0.28 + 0.40 * clump.r + 0.95 * sunlit);
        if (card) s.albedo *= (0.85 + 0.75 * hash(floor(uv) + params.x * 91.0)) * (uv.y < 64.0 ? 1.0 : 0.6); // deep in the crown
        s.albedo = mix(s.albedo, s.albedo * vec3(1.30, 1.08, 0.65), clump.a * 0.6);
        s.albedo *= mix(0.42, 1.15, smoothstep(-0.7, 0.8, normal.y + (leaf.r - 0.5) * 1.2));
        vec3 petal = mix(vec3(0.80, 0.76, 0.72), vec3(0.72, 0.25, 0.40), step(0.35, fract(params.x * 7.0)));
        petal = mix(petal, vec3(0.80, 0.62, 0.10), step(0.8, fract(params.x * 7.0)));
        s.albedo = mix(s.albedo, petal, smoothstep(0.62, 0.70, leaf.g + 0.35 * params.w) * step(0.01, params.w) * 0.85);
        s.bend = (leaf.rga - 0.5) * (card ? 1.3 : 2.2);
    } else if (material == TWIGS) s.albedo = base * (0.6 + 0.8 * noise(plane * 0.5).r);
    else if (material == GRASS) {
        vec4 tuft = noise(uv * 0.30), field = noise(uv * 0.017);
        s.albedo = base * (0.55 + 0.5 * tuft.r + 0.5 * (tuft.g - 0.4) + 0.3 * field.r);
        s.albedo = mix(s.albedo, vec3(0.36, 0.29, 0.19) * (0.6 + tuft.g), smoothstep(0.52, 0.75, field.a) * 0.7);
    } else if (material == CAR_PAINT) { // params: x dirt, y its height, z front edge of the first door, w its length or 0
        float dirt = smoothstep(params.y, params.y - 0.6, position.y) * (0.3 + noise(plane * 0.3).r) * params.x;
        if (params.w > 0.0) { // seams of doors; uv is (along the car, height)
            float from_edge = params.z - uv.x;
            float door = abs(fract(from_edge / params.w + 0.5) - 0.5) * params.w;
            float seam = 1.0 - smoothstep(0.008, 0.012 + pixel.x, door);
            seam *= step(-0.3, from_edge) * step(from_edge, params.w * 2.3) * smoothstep(0.28, 0.36, uv.y);
            base *= 1.0 - 0.75 * seam * clamp(0.03 / max(pixel.x, 0.01), 0.0, 1.0);
        }
        s.albedo = mix(base, vec3(0.33, 0.30, 0.26), dirt * 0.6);
        s.mirror = 0.05; s.gloss = gloss * (1.0 - dirt);
    } else if (material == GLASS) { // params: x 1 at the side, 2 in front or behind; uv is (along or across, over the belt)
        s.mirror = params.x > 0.5 ? 0.04 : 0.12;
        s.albedo = base * 0.4;
        if (params.x > 0.5) {
            float pitch = params.x > 1.5 ? 0.74 : 0.86;
            vec2 seat = vec2(fract(uv.x / pitch + 0.5 * step(1.5, params.x) + params.y * step(params.x, 1.5)) - 0.5, uv.y - 0.10);
            seat.x *= pitch;
            float rest = 1.0 - smoothstep(0.12, 0.16 + pixel.y, length(seat * vec2(1.0, 0.75)));
            float driver = step(0.55, fract(params.y * 7.0 + floor(uv.x / pitch) * 0.37));
            rest = max(rest, driver * (1.0 - smoothstep(0.09, 0.12 + pixel.y, length(seat - vec2(0.0, 0.19)))));
            s.albedo = mix(base * (0.5 + 0.9 * smoothstep(0.0, 0.45, uv.y)), vec3(0.012), rest * 0.85);
        }
    }
    else if (material == MARKING) s.albedo = marking(base, uv, params);
    else if (material == GLOWING) { s.glow = base * params.x; s.albedo = base * 0.6; s.mirror = 0.05; }
    else if (material == LAMP) { // params: x power by day, y power by night
        s.glow = base * mix(params.x, params.y, u_night); s.albedo = base * 0.6; s.mirror = 0.08;
    } else if (material == CLOTH) { // params: x offset, y 1 stripes, 2 checks, 3 reflecting bands, z folds
        vec4 weave = noise(plane * 0.9 + params.x);
        s.albedo = base * (0.72 + 0.4 * weave.r + 0.25 * (noise(plane * vec2(2.3, 0.7) + params.x).r - 0.5) * params.z);
        s.bend = (vec3(noise(plane * 0.55 + params.x).r, 0.5, noise(plane * 0.55 + params.x + 0.3).a) - 0.5) * 0.5 * params.z;
        if (params.y > 2.5) s.albedo = mix(s.albedo, vec3(0.75), band(0.30, 0.46, fract(position.y * 3.3 + params.x), pixel.y * 3.3));
        else if (params.y > 1.5) s.albedo *= 1.0 - 0.5 * step(0.6, max(fract(position.y * 7.0), fract(plane.x * 7.0)));
        else if (params.y > 0.5) s.albedo = mix(s.albedo, vec3(0.75), step(0.5, fract(position.y * 9.0)) * 0.6);
    } else if (material == SIGN) s.albedo = sign_face(base, uv, params);
    else if (material == BARK) s.albedo = base * (0.55 + 0.8 * noise(vec2(uv.x * 1.5, uv.y * 0.3)).r + 0.3 * (noise(uv * 1.9).g - 0.5));
    else if (material == MASONRY) s.albedo = wall(base, uv, params.x, params.y, pixel) * mix(0.7, 1.0, smoothstep(0.0, 0.4, uv.y));
    else if (material == PLANKS) {
        float gap = smoothstep(0.42, 0.5, abs(fract(uv.x / 0.14) - 0.5)) * clamp(1.0 - pixel.x * 8.0, 0.0, 1.0);
        s.albedo = base * (0.7 + 0.5 * hash(vec2(floor(uv.x / 0.14), 3.0)) * clamp(1.0 - pixel.x * 5.0, 0.0, 1.0) + 0.3 * noise(uv * vec2(0.9, 0.1)).r) * (1.0 - 0.6 * gap);
    } else s.albedo = base * (0.82 + 0.28 * noise(plane * 0.19).r + 0.10 * (noise(plane * 0.8).g - 0.5));
    return s;
}
