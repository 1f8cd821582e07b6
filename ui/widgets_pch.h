#pragma once

#include <QtWidgets>
#include <QtSvg>

#include <nlohmann/json.hpp>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>
