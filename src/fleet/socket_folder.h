// SocketFolder: where the Unix sockets of replicas lie, with paths short enough for the kernel.
#pragma once

#include <cstdint>
#include <string>
#include <utility>

#include "base/result.h"

namespace penstock::fleet {

class SocketFolder {
 public:
  // The kernel's limit for a socket's path, without its final zero.
  static constexpr std::size_t kPathSizeMax = 107;

  // Uses `preferred`, an existing private folder, if paths in it are short enough; else a private
  // folder of this user below `fallback_parent`, named after `preferred`. Removes sockets that a
  // killed server left there: the caller holds the lock of the data directory. Errors name the
  // path: kInvalidArgument (both too long), kForbidden (the folder is not ours alone).
  static Result<SocketFolder> Open(const std::string& preferred,
                                   const std::string& fallback_parent = "/tmp");

  const std::string& path() const { return path_; }
  std::string SocketPath(std::uint64_t replica_id) const;

 private:
  explicit SocketFolder(std::string path) : path_(std::move(path)) {}
  std::string path_;
};

}  // namespace penstock::fleet
