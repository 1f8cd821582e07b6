#!/bin/bash
# Copies the icons that the window uses from Debian's breeze-icon-theme to resources/icons/ and
# lists them in resources/resources.qrc. Needed only when an icon is added: add its name below.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

BREEZE=/usr/share/icons/breeze
ICONS="$TREE/resources/icons"
NAMES=(
    # places
    go-home table view-calendar-list office-chart-line view-split-left-right task-complete
    dialog-messages document-export settings-configure help-contents
    # runs
    media-playback-start media-playback-pause media-playback-stop media-record media-seek-forward
    vcs-branch vcs-diff chronometer clock speedometer measure flag pin system-run run-build
    # curves
    view-filter zoom-fit-best zoom-in zoom-out zoom-original labplot-xy-smoothing-curve
    labplot-axis-horizontal labplot-axis-vertical labplot-zoom-select office-chart-area
    office-chart-bar office-chart-scatter transform-move view-statistics
    # files
    document-new document-open document-open-folder document-open-recent document-import
    document-save document-save-as document-edit document-properties document-print
    document-encrypt folder folder-new folder-open archive-extract download
    drive-harddisk office-report dialog-scripts code-context
    # editing
    edit-undo edit-redo edit-copy edit-cut edit-paste edit-delete edit-find edit-clear
    edit-clear-all edit-rename edit-select-all list-add list-remove user-trash draw-highlight
    edit-table-insert-row-below edit-table-delete-row label tag tag-new bookmark-new
    # answers
    dialog-ok dialog-ok-apply dialog-cancel dialog-close window-close dialog-information
    dialog-question dialog-warning dialog-error data-success data-warning data-error
    data-information help-about help-hint help-contextual tools-report-bug
    # moving about
    go-next go-previous go-up go-down go-first go-last arrow-right arrow-left arrow-up arrow-down
    view-refresh view-history view-list-details view-visible view-hidden view-sort-ascending
    view-sort-descending view-form view-preview view-fullscreen view-grid tab-new window-new
    window-duplicate application-menu overflow-menu
    # settings
    computer configure configure-shortcuts adjustlevels contrast internet-services
    network-connect network-disconnect object-locked object-unlocked user-identity
)

[ -d "$BREEZE" ] || fail "the Debian package breeze-icon-theme is missing."
mkdir -p "$ICONS"
for name in "${NAMES[@]}"; do
    found=""
    for folder in actions status places devices mimetypes; do
        [ -f "$BREEZE/$folder/22/$name.svg" ] && found="$BREEZE/$folder/22/$name.svg" && break
    done
    [ -n "$found" ] || fail "breeze-icon-theme has no icon $name of 22 pixels."
    install -m 644 "$found" "$ICONS/$name.svg" # follows links: Breeze has many names for one drawing
done
{
    echo '<!-- Written by packaging/copy_icons.sh. -->'
    echo '<RCC>'
    echo '  <qresource prefix="/">'
    for name in fettle fettle-symbolic $(printf '%s\n' "${NAMES[@]}" | sort); do
        echo "    <file>icons/$name.svg</file>"
    done
    echo '  </qresource>'
    echo '</RCC>'
} > "$TREE/resources/resources.qrc"
say "${#NAMES[@]} icons copied."
