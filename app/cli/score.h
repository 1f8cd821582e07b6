#pragma once

#include "cli/session.h"

namespace fettle::cli {

void addScore(CLI::App& app, Session& session);

} // namespace fettle::cli
