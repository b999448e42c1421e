// RunCommand: a program run to its end, with a time limit, and what it printed.
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/result.h"

namespace penstock::fleet {

inline constexpr std::size_t kCommandOutputMax = 4 * 1024 * 1024;

// Blocks. PATH is searched. Answers stdout. Errors name the program: kInvalidArgument (no such
// program), kDeadline (killed after `wait_max`), kTooLarge (stdout over kCommandOutputMax),
// kUnavailable (it failed; the message has what it printed on stderr).
Result<std::string> RunCommand(const std::vector<std::string>& words, Duration wait_max);

}  // namespace penstock::fleet
