// SecretFiles: keys of other servers, a file each that only its owner may read.
//
//   secrets/24 HEX DIGITS   came with a request, and goes with what it came for
//   secrets/SCOPE/KEY       put there by the operator; what {{secrets/SCOPE/KEY}} names
#pragma once

#include <set>
#include <string>
#include <string_view>
#include <utility>

#include "base/result.h"

namespace penstock::control {

inline constexpr std::size_t kSecretSizeMax = 16 * 1024;

// One line, up to kSecretSizeMax. The error does not quote it.
Status CheckSecret(std::string_view secret, const std::string& field);

// "SCOPE/KEY" of "{{secrets/SCOPE/KEY}}". kInvalidArgument, not quoting what may be a key.
Result<std::string> ParseSecretReference(std::string_view text, const std::string& field);

// Blocks. One thread.
class SecretFiles {
 public:
  // `folder`: "" none, then nothing can be kept.
  explicit SecretFiles(std::string folder) : folder_(std::move(folder)) {}

  // A name that no file has, and that says nothing of what will be in it.
  static std::string NewName();

  // On disk when it returns. kUnsupported without a folder.
  Status Write(const std::string& name, std::string_view secret) const;
  // Whether the file `name` is there and holds `secret`.
  bool Holds(const std::string& name, std::string_view secret) const;
  void Forget(const std::string& name) const;  // A failure is logged.
  // Of a name, or of a reference. "" for "".
  std::string PathOf(const std::string& name) const;

  // That the operator's file is there, and closed to others. kInvalidArgument says what to do.
  Status CheckReference(const std::string& reference, const std::string& field) const;

  // Removes files of ours that are not in `used`: what a killed server wrote, or had not yet
  // removed.
  void Sweep(const std::set<std::string>& used) const;

 private:
  std::string folder_;
};

}  // namespace penstock::control
