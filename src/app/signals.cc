#include "app/signals.h"

#include <sys/signalfd.h>
#include <unistd.h>

#include <csignal>

#include "app/command.h"
#include "base/file.h"

namespace penstock::app {

namespace {

sigset_t StopSignals() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  return signals;
}

}  // namespace

void BlockSignals() {
  const sigset_t signals = StopSignals();
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  std::signal(SIGPIPE, SIG_IGN);
}

io::Task<Result<int>> WaitForSignal(io::Loop& loop) {
  const sigset_t signals = StopSignals();
  const Descriptor descriptor(signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!descriptor) co_return Fail(Code::kExhausted, "cannot watch for signals: no descriptor left");
  const Status waited = co_await loop.WaitReadable(descriptor.get(), Deadline::Never());
  if (!waited) co_return Fail(waited.error());
  signalfd_siginfo info{};
  if (read(descriptor.get(), &info, sizeof info) != sizeof info) {
    co_return Fail(Code::kInternal, "cannot read the signal that came");
  }
  // Whatever the drain is stuck in: the second signal needs no loop and no lock.
  std::signal(SIGTERM, [](int) { _exit(kExitForced); });
  std::signal(SIGINT, [](int) { _exit(kExitForced); });
  pthread_sigmask(SIG_UNBLOCK, &signals, nullptr);
  co_return static_cast<int>(info.ssi_signo);
}

}  // namespace penstock::app
