// The program's own version; CMake gives it.
#pragma once

namespace penstock::app {

inline constexpr const char* kVersion = PENSTOCK_VERSION;

}  // namespace penstock::app
