#include "control/secret_files.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <system_error>

#include "base/file.h"
#include "base/log.h"
#include "http/characters.h"
#include "policy/key_table.h"

namespace penstock::control {
namespace {

constexpr std::size_t kNameBytes = 12;  // Twice as many digits.

// A scope or a key: a file's name that cannot lead elsewhere.
bool IsReferencePart(std::string_view part) {
  constexpr std::size_t kPartMax = 128;
  const auto good = [](char c) { return http::IsUnreserved(c) && c != '~'; };
  return !part.empty() && part.size() <= kPartMax && part.front() != '.' &&
         std::ranges::all_of(part, good);
}

// What NewName() makes, also while it is being written.
bool IsOurs(std::string_view file) {
  constexpr std::string_view kUnfinished = ".new";
  if (file.ends_with(kUnfinished)) file.remove_suffix(kUnfinished.size());
  return file.size() == 2 * kNameBytes &&
         file.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

}  // namespace

Status CheckSecret(std::string_view secret, const std::string& field) {
  if (secret.size() > kSecretSizeMax) {
    return Fail(
        Code::kInvalidArgument,
        fmt::format("{} must be at most {} bytes, got {}", field, kSecretSizeMax, secret.size()),
        field);
  }
  if (http::HoldsControl(secret)) {
    return Fail(Code::kInvalidArgument, fmt::format("{} must be one line of text", field), field);
  }
  return {};
}

Result<std::string> ParseSecretReference(std::string_view text, const std::string& field) {
  constexpr std::string_view kBegin = "{{secrets/";
  constexpr std::string_view kEnd = "}}";
  if (text.starts_with(kBegin) && text.ends_with(kEnd)) {
    const std::string_view inner =
        text.substr(kBegin.size(), text.size() - kBegin.size() - kEnd.size());
    const std::size_t slash = inner.find('/');
    if (slash != std::string_view::npos && IsReferencePart(inner.substr(0, slash)) &&
        IsReferencePart(inner.substr(slash + 1))) {
      return std::string(inner);
    }
  }
  return Fail(Code::kInvalidArgument,
              fmt::format("{} must be {{{{secrets/SCOPE/KEY}}}}, of letters, digits, '-', '_' and "
                          "'.'; a key itself goes into the field whose name ends in _plaintext",
                          field),
              field);
}

std::string SecretFiles::NewName() { return policy::RandomHex(kNameBytes); }

Status SecretFiles::Write(const std::string& name, std::string_view secret) const {
  constexpr mode_t kOwnerOnly = 0600;
  if (folder_.empty()) {
    return Fail(Code::kUnsupported, "this server has no folder for keys", "external_model");
  }
  return WriteFileDurably(PathOf(name), secret, kOwnerOnly);
}

bool SecretFiles::Holds(const std::string& name, std::string_view secret) const {
  const auto content = ReadSmallFile(PathOf(name), kSecretSizeMax);
  return content && *content == secret;
}

void SecretFiles::Forget(const std::string& name) const {
  std::error_code failure;
  std::filesystem::remove(PathOf(name), failure);
  if (failure)
    Log().warn("a key's file cannot be removed: {}: {}", PathOf(name), failure.message());
}

std::string SecretFiles::PathOf(const std::string& name) const {
  return name.empty() ? std::string() : fmt::format("{}/{}", folder_, name);
}

Status SecretFiles::CheckReference(const std::string& reference, const std::string& field) const {
  constexpr mode_t kOthers = 0077;
  const std::string path = PathOf(reference);
  struct stat found{};
  if (folder_.empty() || stat(path.c_str(), &found) != 0 || !S_ISREG(found.st_mode)) {
    return Fail(Code::kInvalidArgument,
                fmt::format("{}: there is no file secrets/{} in the data directory; put the key "
                            "there, with mode 0600",
                            field, reference),
                field);
  }
  if ((found.st_mode & kOthers) != 0) {
    return Fail(Code::kInvalidArgument,
                fmt::format("{}: secrets/{} in the data directory is open to others (mode {:04o}); "
                            "chmod 600",
                            field, reference, found.st_mode & 07777),
                field);
  }
  return {};
}

void SecretFiles::Sweep(const std::set<std::string>& used) const {
  std::error_code failure;
  for (const auto& entry : std::filesystem::directory_iterator(folder_, failure)) {
    const std::string file = entry.path().filename().string();
    if (!IsOurs(file) || used.contains(file)) continue;
    Log().info("secrets: {} is nobody's any more; it is removed", file);
    std::error_code ignored;
    std::filesystem::remove(entry.path(), ignored);
  }
  if (failure) Log().warn("cannot tidy {}: {}", folder_, failure.message());
}

}  // namespace penstock::control
