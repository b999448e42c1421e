// CHECK: a broken promise of our own code ends the process, in release too. Never for anything that
// a peer, a file or a user can cause.
#pragma once

namespace penstock::internal {
[[noreturn]] void CheckFailed(const char* file, int line, const char* condition,
                              const char* message);
}  // namespace penstock::internal

#define CHECK(condition, message)                                                 \
  do {                                                                            \
    if (!(condition)) [[unlikely]] {                                              \
      ::penstock::internal::CheckFailed(__FILE__, __LINE__, #condition, message); \
    }                                                                             \
  } while (false)
