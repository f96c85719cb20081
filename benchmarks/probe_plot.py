"""A plot of false alarms per million over the deadline, both logarithmic, as SVG."""
import math

WIDTH, HEIGHT = 760, 440
LEFT, RIGHT, TOP, BOTTOM = 80, 180, 20, 62
X_FROM, X_TO = 1, 100
Y_TO = 1e6
COLOURS = ("#444444", "#1f6fb4", "#12803c", "#c25b00", "#8a3fb0")
TICKS_MS = (1, 2, 5, 10, 20, 50, 100)


def plot(series, least):
    """`series`: {label: [(ms, per million)]}. `least` is what one false alarm counts; none at all is drawn below it, hollow."""
    bottom = 10 ** math.floor(math.log10(least))
    zero = HEIGHT - BOTTOM + 15

    def x(ms):
        return LEFT + (WIDTH - LEFT - RIGHT) * math.log(ms / X_FROM) / math.log(X_TO / X_FROM)

    def y(rate):
        return TOP + (HEIGHT - TOP - BOTTOM) * math.log(Y_TO / rate) / math.log(Y_TO / bottom)

    def point(rate):
        return zero if rate < least / 2 else y(rate)

    out = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}" viewBox="0 0 {WIDTH} {HEIGHT}" '
           'font-family="sans-serif" font-size="12">',
           f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>']
    exponent = round(math.log10(bottom))
    while 10 ** exponent <= Y_TO:
        at = y(10 ** exponent)
        out.append(f'<line x1="{LEFT}" y1="{at:.1f}" x2="{WIDTH - RIGHT}" y2="{at:.1f}" stroke="#dddddd"/>')
        out.append(f'<text x="{LEFT - 8}" y="{at + 4:.1f}" text-anchor="end">{10 ** exponent:,}</text>')
        exponent += 1
    out.append(f'<text x="{LEFT - 8}" y="{zero + 4}" text-anchor="end">none</text>')
    for ms in TICKS_MS:
        out.append(f'<line x1="{x(ms):.1f}" y1="{TOP}" x2="{x(ms):.1f}" y2="{HEIGHT - BOTTOM}" stroke="#eeeeee"/>')
        out.append(f'<text x="{x(ms):.1f}" y="{HEIGHT - 24}" text-anchor="middle">{ms}</text>')
    out.append(f'<text x="{(LEFT + WIDTH - RIGHT) / 2}" y="{HEIGHT - 6}" text-anchor="middle">deadline, ms</text>')
    out.append(f'<text transform="translate(14 {HEIGHT / 2}) rotate(-90)" text-anchor="middle">false alarms per million</text>')
    for row, ((label, points), colour) in enumerate(zip(series.items(), COLOURS)):
        path = " ".join(f"{x(ms):.1f},{point(rate):.1f}" for ms, rate in points)
        out.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        for ms, rate in points:
            fill = colour if rate >= least / 2 else "white"
            out.append(f'<circle cx="{x(ms):.1f}" cy="{point(rate):.1f}" r="3.5" fill="{fill}" stroke="{colour}"/>')
        at = TOP + 12 + 22 * row
        out.append(f'<line x1="{WIDTH - RIGHT + 16}" y1="{at}" x2="{WIDTH - RIGHT + 40}" y2="{at}" stroke="{colour}" '
                   'stroke-width="2"/>')
        out.append(f'<text x="{WIDTH - RIGHT + 46}" y="{at + 4}">{label}</text>')
    return "\n".join(out + ["</svg>", ""])
