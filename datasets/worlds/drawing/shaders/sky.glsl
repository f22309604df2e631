// The light from the sky in one direction, without and with clouds.
uniform vec3 u_sun_direction;  // towards the sun
uniform vec3 u_sun_color;
uniform vec3 u_zenith;
uniform vec3 u_horizon;
uniform vec4 u_clouds;         // cover 0..1, softness, offset x, offset y
uniform vec3 u_cloud_color;    // what clouds shine with besides
uniform vec3 u_fog_color;
uniform float u_fog_density;   // extinction at the ground, 1/m
uniform float u_fog_falloff;   // how fast it thins out upwards, 1/m
uniform float u_night;         // 0 day .. 1 night: lamps and windows are lit
uniform float u_wetness;       // of the ground: 0 dry .. 1 under puddles

vec3 clear_sky(vec3 ray) {
    float up = max(ray.y, 0.0);
    vec3 sky = mix(u_horizon, u_zenith, pow(up, 0.55));
    float near_sun = max(dot(ray, u_sun_direction), 0.0);
    return sky + u_sun_color * (0.10 * pow(near_sun, 8.0) + 0.25 * pow(near_sun, 60.0)) * (1.0 - u_clouds.x * 0.8);
}

vec3 cloudy_sky(vec3 ray) {
    vec3 sky = clear_sky(ray);
    float up = max(ray.y, 0.015);
    vec2 at = ray.xz / (up + 0.12) * 0.045 + u_clouds.zw;
    float density = 0.6 * noise(at).r + 0.28 * noise(at * 2.7 + 0.4).r + 0.12 * noise(at * 7.1).r;
    float cover = smoothstep(1.0 - u_clouds.x - u_clouds.y, 1.0 - u_clouds.x + u_clouds.y, density + 0.25);
    float shade = 0.6 * noise(at * 1.3 + 0.2).r + 0.4 * noise(at * 4.0).a;
    vec3 white = u_horizon * 0.45 + u_sun_color * 0.16 + u_cloud_color;
    vec3 cloud = white * mix(0.62, 1.25, shade);
    sky = mix(sky, cloud, cover * smoothstep(0.0, 0.10, ray.y + 0.02));
    float sun = smoothstep(0.9993, 0.9998, dot(ray, u_sun_direction));
    return sky + u_sun_color * sun * 12.0 * (1.0 - cover) * step(u_night, 0.0);
}

// Share of the light that air of falling density takes on a way of `far` metres from height `low`, rising by
// `rise` a metre (Beer-Lambert over an exponential atmosphere).
float in_air(float low, float rise, float far) {
    float climb = u_fog_falloff * rise * far;
    float mean = abs(climb) < 1e-3 ? 1.0 : (1.0 - exp(-climb)) / climb;
    return 1.0 - exp(-u_fog_density * far * exp(-u_fog_falloff * max(low, 0.0)) * mean);
}
