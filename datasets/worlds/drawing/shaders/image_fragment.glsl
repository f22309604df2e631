// Light on a surface: sun with shadow, sky with openness, a mirror image of the sky, and air in between.
uniform vec3 u_ambient_sky;
uniform vec3 u_ambient_ground;
uniform float u_flatness;       // 0 textured .. 1 plastic: how much of the procedural detail is taken away
uniform mat4 u_sun_from_world;
uniform mat4 u_top_from_world;
uniform sampler2DShadow u_sun_map;
uniform sampler2DShadow u_top_map;
uniform float u_map_m;          // side of what a shadow map shows, in metres
uniform float u_sun_softness;   // radius of shadows' edges, as a share of that

in vec3 v_position;
in vec3 v_normal;
in vec2 v_uv;
flat in vec4 v_params;
flat in vec4 v_color;
out vec4 f_color;

// Share of a light that reaches a point past what its depth map holds: three taps around it, `turned` (metres) and its
// turns by a third. Taps are the dearest thing here.
float open_to(sampler2DShadow map, mat4 from_world, vec3 at, vec2 turned, float bias) {
    vec3 p = (from_world * vec4(at, 1.0)).xyz * 0.5 + 0.5;
    if (any(greaterThan(abs(p.xy - 0.5), vec2(0.495)))) return 1.0;
    p.z -= bias;
    vec2 a = turned / u_map_m, b = vec2(-0.5 * a.x - 0.866 * a.y, 0.866 * a.x - 0.5 * a.y);
    return 0.3333 * (texture(map, vec3(p.xy + a, p.z)) + texture(map, vec3(p.xy + b, p.z))
                     + texture(map, vec3(p.xy - a - b, p.z)));
}

// Mean over the 2 x 2 pixels that are shaded together; `place` is this pixel's among them, 0 or 1 each way.
vec2 over_quad(vec2 share, vec2 place) {
    share += (0.5 - place.x) * dFdx(share);
    return clamp(share + (0.5 - place.y) * dFdy(share), 0.0, 1.0);
}

void main() {
    vec3 to_eye = u_eye - v_position;
    float far = length(to_eye);
    to_eye /= far;
    vec3 normal = normalize(v_normal);
    float facing = dot(normal, to_eye);
    if (facing < 0.0) { normal = -normal; facing = -facing; }
    vec3 base = pow(v_color.rgb, vec3(2.2));
    Surface s = surface(MATERIAL, base, v_color.a, v_position, normal, v_uv, v_params);
    s.albedo = mix(max(s.albedo, 0.0), base, u_flatness * (MATERIAL == FACADE || MATERIAL == SIGN ? 0.1 : 0.7));
    vec3 smooth_normal = normal;
    normal = normalize(normal + s.bend);
#ifdef WET
    soak(s, smooth_normal);
#endif
    bool leafy = MATERIAL == FOLIAGE || MATERIAL == TWIGS;
    vec3 lifted = v_position + smooth_normal * 0.06;
    // A quad's pixels look at twelve places on a spiral of three arms and share what they find, so no pixel stands out.
    vec2 place = mod(floor(gl_FragCoord.xy), 2.0);
    float arm = place.x + 2.0 * place.y, angle = 0.5236 * arm;
    vec2 turned = vec2(cos(angle), sin(angle)) * (0.55 + 0.15 * arm);
    float roof = open_to(u_top_map, u_top_from_world, lifted + vec3(0.0, 0.05, 0.0), turned * 0.6, 0.001);
#ifdef NIGHT
    float sunlit = 0.0;
#else
    // Off the surface by as much as it rises towards the sun within reach of the taps, or it would shade itself.
    float reach = u_sun_softness * u_map_m, slope = length(cross(smooth_normal, u_sun_direction));
    float sunlit = open_to(u_sun_map, u_sun_from_world, lifted + smooth_normal * reach * slope, turned * reach, 0.0015);
#endif
    vec2 open = over_quad(vec2(roof, sunlit), place);
    roof = open.x;
    float openness = mix(0.34, 1.0, roof) * mix(0.72, 1.0, smoothstep(-0.05, 0.9, v_position.y + 0.5 * max(normal.y, 0.0)));
    vec3 ambient = mix(u_ambient_ground, u_ambient_sky, normal.y * 0.5 + 0.5) * openness;
#ifdef NIGHT
    vec3 direct = lamplight(v_position, leafy ? normalize(normal + to_eye) : normal) + headlight(v_position, normal, to_eye, far);
#else
    float lambert = leafy ? 0.35 + 0.65 * max(dot(normal, u_sun_direction), 0.0) : max(dot(normal, u_sun_direction), 0.0);
    float sun = lambert * open.y;
    vec3 direct = u_sun_color * sun;
#endif
    vec3 light = s.albedo * (direct + ambient);

    vec3 ray = reflect(-to_eye, normal);
    float fresnel = pow(1.0 - facing, 5.0);
    float mirror = (s.mirror + (1.0 - s.mirror) * fresnel * 0.7) * s.gloss;
    float above = smoothstep(-0.15, 0.25, ray.y + (noise(v_position.xz * 0.05).r - 0.5) * 0.3);
    vec3 seen = mix(u_ambient_ground * 0.35, clear_sky(vec3(ray.x, abs(ray.y), ray.z)), above);
    light = mix(light, seen * mix(0.5, 1.0, openness), clamp(mirror, 0.0, 0.85));
#ifndef NIGHT
    float glint = pow(max(dot(ray, u_sun_direction), 0.0), mix(12.0, 220.0, s.gloss)) * sun;
    light += u_sun_color * glint * s.gloss * (s.mirror > 0.0 ? 0.9 : 0.25);
#endif
#ifdef WET
    light = mirrored(light, v_position, smooth_normal, facing);
#endif
    light += s.glow;
    f_color = vec4(mix(light, u_fog_color, in_air(u_eye.y, -to_eye.y, far)), 1.0);
}
