// Signals: SIGTERM and SIGINT as something a task waits for.
#pragma once

#include "base/result.h"
#include "io/loop.h"
#include "io/task.h"

namespace penstock::app {

// Call first thing in main's thread, before any other thread: blocks the two signals (threads
// inherit this) and ignores SIGPIPE.
void BlockSignals();

// Completes at the first of the two, with its number. After that a second one ends the process at
// once, with kExitForced.
io::Task<Result<int>> WaitForSignal(io::Loop& loop);

}  // namespace penstock::app
