#include "convert/gguf_writer.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>

namespace penstock::convert {
namespace {

// GGUF's numbers for value types.
enum : std::uint32_t {
  kUint8 = 0,
  kUint32 = 4,
  kInt32 = 5,
  kFloat32 = 6,
  kBool = 7,
  kString = 8,
  kArray = 9
};

template <typename Number>
void Put(std::vector<std::uint8_t>& to, Number number) {
  const std::size_t at = to.size();
  to.resize(at + sizeof number);
  std::memcpy(to.data() + at, &number, sizeof number);
}

void Put(std::vector<std::uint8_t>& to, std::string_view text) {
  Put(to, static_cast<std::uint64_t>(text.size()));
  to.insert(to.end(), text.begin(), text.end());
}

constexpr std::uint64_t Padded(std::uint64_t size) {
  return (size + kGgufAlignment - 1) / kGgufAlignment * kGgufAlignment;
}

}  // namespace

void GgufHead::AddKey(std::string_view key, std::uint32_t type) {
  Put(pairs_, key);
  Put(pairs_, type);
  ++pair_count_;
}

void GgufHead::Add(std::string_view key, std::uint32_t value) {
  AddKey(key, kUint32);
  Put(pairs_, value);
}

void GgufHead::Add(std::string_view key, float value) {
  AddKey(key, kFloat32);
  Put(pairs_, value);
}

void GgufHead::Add(std::string_view key, bool value) {
  AddKey(key, kBool);
  Put(pairs_, static_cast<std::uint8_t>(value ? 1 : 0));
}

void GgufHead::Add(std::string_view key, std::string_view value) {
  AddKey(key, kString);
  Put(pairs_, value);
}

void GgufHead::Add(std::string_view key, const std::vector<std::string>& values) {
  AddKey(key, kArray);
  Put(pairs_, std::uint32_t{kString});
  Put(pairs_, static_cast<std::uint64_t>(values.size()));
  for (const std::string& value : values) Put(pairs_, std::string_view(value));
}

void GgufHead::Add(std::string_view key, const std::vector<float>& values) {
  AddKey(key, kArray);
  Put(pairs_, std::uint32_t{kFloat32});
  Put(pairs_, static_cast<std::uint64_t>(values.size()));
  for (const float value : values) Put(pairs_, value);
}

void GgufHead::Add(std::string_view key, const std::vector<std::int32_t>& values) {
  AddKey(key, kArray);
  Put(pairs_, std::uint32_t{kInt32});
  Put(pairs_, static_cast<std::uint64_t>(values.size()));
  for (const std::int32_t value : values) Put(pairs_, value);
}

void GgufHead::Add(std::string_view key, const std::vector<std::uint8_t>& values) {
  AddKey(key, kArray);
  Put(pairs_, std::uint32_t{kUint8});
  Put(pairs_, static_cast<std::uint64_t>(values.size()));
  for (const std::uint8_t value : values) Put(pairs_, value);
}

void GgufHead::AddTensor(std::string_view name, std::span<const std::int64_t> shape,
                         std::uint32_t gguf_type, std::uint64_t bytes) {
  Put(tensors_, name);
  Put(tensors_, static_cast<std::uint32_t>(shape.size()));
  for (const std::int64_t size : shape) Put(tensors_, size);
  Put(tensors_, gguf_type);
  Put(tensors_, data_bytes_);
  data_bytes_ += Padded(bytes);
  ++tensor_count_;
}

std::vector<std::uint8_t> GgufHead::Bytes() const {
  constexpr std::uint32_t kVersion = 3;
  std::vector<std::uint8_t> bytes = {'G', 'G', 'U', 'F'};
  Put(bytes, kVersion);
  Put(bytes, tensor_count_);
  Put(bytes, pair_count_);
  bytes.insert(bytes.end(), pairs_.begin(), pairs_.end());
  bytes.insert(bytes.end(), tensors_.begin(), tensors_.end());
  bytes.resize(Padded(bytes.size()));
  return bytes;
}

Result<GgufFile> GgufFile::Create(const std::string& path, const GgufHead& head) {
  std::string temporary = fmt::format("{}.{}.part", path, getpid());
  Descriptor file(open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644));
  if (!file) return Fail(SystemError("create", temporary, errno));
  GgufFile made(path, std::move(temporary), std::move(file));
  if (auto written = made.Write(head.Bytes()); !written) return Fail(written.error());
  return made;
}

GgufFile::~GgufFile() {
  if (file_ && !temporary_.empty()) unlink(temporary_.c_str());
}

Status GgufFile::Write(std::span<const std::uint8_t> bytes) {
  while (!bytes.empty()) {
    const ssize_t put = write(file_.get(), bytes.data(), bytes.size());
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) return Fail(SystemError("write", temporary_, errno));
    bytes = bytes.subspan(static_cast<std::size_t>(put));
    written_ += static_cast<std::uint64_t>(put);
  }
  return {};
}

Status GgufFile::EndTensor() {
  static constexpr std::array<std::uint8_t, kGgufAlignment> kZeros{};
  return Write(std::span(kZeros).first(static_cast<std::size_t>(Padded(written_) - written_)));
}

Status GgufFile::Finish() {
  if (fsync(file_.get()) != 0) return Fail(SystemError("write", temporary_, errno));
  if (std::rename(temporary_.c_str(), path_.c_str()) != 0) {
    return Fail(SystemError("put in place", path_, errno));
  }
  temporary_.clear();
  return {};
}

}  // namespace penstock::convert
