// ProgressDisplay: shows how far a run is, on stderr: one line redrawn on a terminal, else a plain
// line every two seconds.
#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "base/clock.h"
#include "bench/drive/progress.h"

namespace penstock::bench {

class ProgressDisplay {
 public:
  // Told every state, shown or not, on the thread that calls Show().
  using Observer = std::function<void(const ProgressState&)>;

  // `shown` false: shows nothing, ever. Looks once whether `descriptor` (borrowed) is a terminal.
  ProgressDisplay(int descriptor, bool shown, Observer observer = {});
  // Leaves the cursor on a fresh line.
  ~ProgressDisplay();
  ProgressDisplay(const ProgressDisplay&) = delete;
  ProgressDisplay& operator=(const ProgressDisplay&) = delete;

  // Shows `state` if it is time to; always when the stage is another one.
  void Show(const ProgressState& state, TimePoint now);

  // Clears the line, so that something else may be written.
  void Clear();

 private:
  void Write(std::string_view text) const;

  int descriptor_;
  bool shown_;
  Observer observer_;
  bool terminal_;
  bool drawn_ = false;
  std::string stage_;
  std::optional<TimePoint> last_;
};

}  // namespace penstock::bench
