#include "app/bench_stop.h"

#include <csignal>
#include <cstdlib>

#include "app/command.h"

namespace penstock::app {
namespace {

std::atomic<bool> stop_requested = false;

}  // namespace

const std::atomic<bool>& StopOnSignal() {
  for (const int signal : {SIGINT, SIGTERM}) {
    std::signal(signal, [](int) {
      if (stop_requested.exchange(true)) std::_Exit(kExitForced);
    });
  }
  std::signal(SIGPIPE, SIG_IGN);
  return stop_requested;
}

}  // namespace penstock::app
