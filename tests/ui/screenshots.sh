#!/bin/sh
# Pictures of every place, light and dark, at 1280x800 and at 2560x1440 with scale 2:
#   tests/ui/screenshots.sh BUILD-FOLDER TARGET-FOLDER
set -eu
bin="$1/bin/ui_shots"
out="$2"
for scale in 1 2; do
    size=1280x800
    [ "$scale" = 2 ] && size=2560x1440
    for look in light dark; do
        QT_SCALE_FACTOR=$scale xvfb-run -a -s "-screen 0 ${size}x24" \
            "$bin" "$out/x$scale" "$look"
    done
done
