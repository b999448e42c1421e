// Log lines to stderr through spdlog: `Log().info("endpoint {} ready", name)`.
//
// stdout is data and belongs to the commands. One logger for the process; thread-safe.
#pragma once

#include <spdlog/logger.h>

#include <string_view>

namespace penstock {

spdlog::logger& Log();

// "trace", "debug", "info", "warn", "error", "off". Returns false, changing nothing, for another
// word.
bool SetLogLevel(std::string_view level);

}  // namespace penstock
