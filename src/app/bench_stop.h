// Bench stop: what a signal does to a measurement.
#pragma once

#include <atomic>

namespace penstock::app {

// From now on the first SIGINT or SIGTERM sets the flag that is returned, and the second ends the
// process with kExitForced. A closed pipe ends nothing.
const std::atomic<bool>& StopOnSignal();

}  // namespace penstock::app
