#include "meter/ledger_window.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/statfs.h>

#include <atomic>
#include <cstring>

#include "base/check.h"

namespace penstock::meter {

namespace {
constexpr std::uint64_t kPage = 4096;  // Offsets of mappings must be multiples of it.
constexpr std::size_t kSizeBytes = 4;  // Of a frame's size, at its beginning.

// Where a store of this thread's Put() goes on when its page is gone.
thread_local sigjmp_buf t_escape;
thread_local volatile sig_atomic_t t_putting = 0;

void OnBusError(int number) {
  if (t_putting != 0) siglongjmp(t_escape, 1);
  // Another's: as it would have been without us.
  struct sigaction standard{};
  standard.sa_handler = SIG_DFL;
  sigaction(number, &standard, nullptr);
  raise(number);
}

// A jump leaves the signals blocked that the handler blocked: none of ours, but all where a
// sanitizer stands before it, and the next one would be the end.
void AfterEscape() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGBUS);
  pthread_sigmask(SIG_UNBLOCK, &signals, nullptr);
}

// For the whole process, once. Not blocked within itself, since Put() leaves it by a jump.
bool CatchBusErrors() {
  struct sigaction action{};
  action.sa_handler = OnBusError;
  action.sa_flags = SA_NODEFER;
  return sigaction(SIGBUS, &action, nullptr) == 0;
}

// Those whose fallocate() is a promise for every later store. Where blocks are copied when they are
// written again, a full disk would be a signal.
bool KeepsPromises(int file) {
  constexpr std::uint32_t kXfs = 0x58465342;  // In no header for programs.
  struct statfs found{};
  if (fstatfs(file, &found) != 0) return false;
  const auto kind = static_cast<std::uint32_t>(found.f_type);
  return kind == EXT4_SUPER_MAGIC || kind == TMPFS_MAGIC || kind == kXfs;
}
}  // namespace

bool LedgerWindow::Reach(int file, std::uint64_t offset, std::size_t bytes) {
  CHECK(bytes <= kBytes / 2, "what is written at once fits the window");
  if (memory_ != nullptr && offset >= begin_ && offset + bytes <= begin_ + kBytes) return true;
  Close();
  const std::uint64_t begin = offset / kPage * kPage;
  static const bool caught = CatchBusErrors();
  if (!caught || !KeepsPromises(file)) return false;
  if (fallocate(file, 0, static_cast<off_t>(begin), kBytes) != 0) return false;
  void* const memory =
      mmap(nullptr, kBytes, PROT_READ | PROT_WRITE, MAP_SHARED, file, static_cast<off_t>(begin));
  if (memory == MAP_FAILED) return false;
  memory_ = static_cast<char*>(memory);
  begin_ = begin;
  return true;
}

bool LedgerWindow::Put(std::uint64_t offset, std::string_view frames) {
  char* const to = memory_ + (offset - begin_);
  if (sigsetjmp(t_escape, 0) != 0) {
    t_putting = 0;
    AfterEscape();
    Close();
    return false;
  }
  t_putting = 1;
  std::atomic_signal_fence(std::memory_order_seq_cst);
  std::memcpy(to + kSizeBytes, frames.data() + kSizeBytes, frames.size() - kSizeBytes);
  std::atomic_thread_fence(std::memory_order_release);
  std::memcpy(to, frames.data(), kSizeBytes);
  std::atomic_signal_fence(std::memory_order_seq_cst);
  t_putting = 0;
  return true;
}

void LedgerWindow::Close() {
  if (memory_ == nullptr) return;
  munmap(memory_, kBytes);
  memory_ = nullptr;
}

}  // namespace penstock::meter
