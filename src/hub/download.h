// Download: one file of a repository, fetched, checked, and only then given its name.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "base/clock.h"
#include "base/result.h"
#include "hub/repository.h"

namespace penstock::hub {

struct DownloadOptions {
  std::string url{};
  std::string token{};
  bool insecure = false;
  int attempts_max = 5;                             // In a row without a new byte.
  Duration pause = std::chrono::milliseconds(500);  // Before the second; doubles.
  Duration stall_max = std::chrono::seconds(60);
  // Told how many bytes of the file are there; false stops.
  std::function<bool(std::int64_t bytes)> on_progress{};
};

// Fetches `file` to `path`; `path`.part holds what has come so far, and is gone on with. Blocks.
// Errors: those of Fetch; kCorrupt where the bytes are not what the hub promised (they are thrown
// away); kCancelled; those of the disk.
Status Download(const RemoteFile& file, const std::string& path, const DownloadOptions& options);

}  // namespace penstock::hub
