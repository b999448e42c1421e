#include "bench/drive/progress_display.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <cerrno>

namespace penstock::bench {
namespace {

constexpr Duration kRedrawEvery = std::chrono::milliseconds(250);
constexpr Duration kLineEvery = std::chrono::seconds(2);
constexpr std::size_t kColumnsAssumed = 80;
constexpr std::string_view kClearLine = "\r\x1b[2K";

std::size_t ColumnsOf(int descriptor) {
  winsize size{};
  const bool known = ::ioctl(descriptor, TIOCGWINSZ, &size) == 0 && size.ws_col > 0;
  return known ? size.ws_col : kColumnsAssumed;
}

}  // namespace

ProgressDisplay::ProgressDisplay(int descriptor, bool shown, Observer observer)
    : descriptor_(descriptor),
      shown_(shown),
      observer_(std::move(observer)),
      terminal_(::isatty(descriptor) == 1) {}

ProgressDisplay::~ProgressDisplay() { Clear(); }

void ProgressDisplay::Show(const ProgressState& state, TimePoint now) {
  if (observer_) observer_(state);
  if (!shown_) return;
  const bool other_stage = state.stage != stage_;
  if (!other_stage && last_ && now - *last_ < (terminal_ ? kRedrawEvery : kLineEvery)) return;
  stage_ = state.stage;
  last_ = now;
  if (!terminal_) return Write(ProgressLine(state, 0) + "\n");
  // One column is left free: some terminals wrap as soon as the last one is written.
  Write(std::string(kClearLine) + ProgressLine(state, ColumnsOf(descriptor_) - 1));
  drawn_ = true;
}

void ProgressDisplay::Clear() {
  if (drawn_) Write(kClearLine);
  drawn_ = false;
}

void ProgressDisplay::Write(std::string_view text) const {
  // A display that cannot be written to must not stop a measurement.
  while (!text.empty()) {
    const ssize_t written = ::write(descriptor_, text.data(), text.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return;
    text.remove_prefix(static_cast<std::size_t>(written));
  }
}

}  // namespace penstock::bench
