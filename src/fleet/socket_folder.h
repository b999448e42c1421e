// SocketFolder: where the Unix sockets of replicas lie, with paths short enough for the kernel.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>

#include "base/result.h"

namespace penstock::fleet {

class SocketFolder {
 public:
  // The kernel's limit for a socket's path, without its final zero.
  static constexpr std::size_t kPathSizeMax = 107;
  // Of a socket's name in the folder, without its ".sock".
  static constexpr std::size_t kNameSizeMax = 24;

  // Uses `preferred`, an existing private folder, if paths in it are short enough; else a private
  // folder of this user below `fallback_parent`, named after `preferred`. Removes sockets that a
  // killed server left there: the caller holds the lock of the data directory. Errors name the
  // path: kInvalidArgument (both too long), kForbidden (the folder is not ours alone).
  static Result<SocketFolder> Open(const std::string& preferred,
                                   const std::string& fallback_parent = "/tmp");

  const std::string& path() const { return path_; }
  // `name`: at most kNameSizeMax bytes, no '/'.
  std::string SocketPath(std::string_view name) const;

 private:
  explicit SocketFolder(std::string path) : path_(std::move(path)) {}
  std::string path_;
};

}  // namespace penstock::fleet
