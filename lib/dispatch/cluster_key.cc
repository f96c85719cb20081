#include <fcntl.h>
#include <sodium.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <string_view>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "lib/dispatch/channel.h"

namespace fastcontainer {
namespace {

constexpr size_t kMaxFile = 1024;

absl::Status Errno(const std::string& path, const char* what) {
  const int error = errno;
  const std::string text = absl::StrCat("cluster key file ", path, ": ", what, ": ", strerror(error));
  return error == ENOENT ? absl::NotFoundError(text) : absl::PermissionDeniedError(text);
}

absl::StatusOr<std::string> ReadPrivateFile(const std::string& path) {
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) return Errno(path, "open");
  struct stat info {};
  char buffer[kMaxFile + 1];
  absl::StatusOr<std::string> result;
  if (fstat(fd, &info) != 0) {
    result = Errno(path, "stat");
  } else if (!S_ISREG(info.st_mode)) {
    result = absl::InvalidArgumentError(absl::StrCat("cluster key file ", path, ": not a regular file"));
  } else if ((info.st_mode & 0007) != 0) {
    result = absl::PermissionDeniedError(
        absl::StrCat("cluster key file ", path, ": others may access it; chmod 600 (or 640) is wanted"));
  } else if (const ssize_t length = read(fd, buffer, sizeof(buffer)); length < 0) {
    result = Errno(path, "read");
  } else if (static_cast<size_t>(length) > kMaxFile) {
    result = absl::InvalidArgumentError(absl::StrCat("cluster key file ", path, ": longer than two keys"));
  } else {
    result = std::string(buffer, static_cast<size_t>(length));
  }
  close(fd);
  return result;
}

bool ParseKey(const std::string& line, ClusterKey* key) {
  if (line.size() != 2 * key->size()) return false;
  for (const char c : line)
    if (!absl::ascii_isxdigit(static_cast<unsigned char>(c))) return false;
  const std::string bytes = absl::HexStringToBytes(line);
  std::memcpy(key->data(), bytes.data(), key->size());
  return true;
}

}  // namespace

std::string ClusterKeyName(const ClusterKey& key) {
  constexpr std::string_view kOf = "name of a cluster key";
  std::array<uint8_t, crypto_generichash_BYTES_MIN> hash;
  crypto_generichash(hash.data(), hash.size(), reinterpret_cast<const uint8_t*>(kOf.data()), kOf.size(),
                     key.data(), key.size());
  return absl::BytesToHexString(std::string(hash.begin(), hash.begin() + 4));
}

absl::StatusOr<std::vector<ClusterKey>> ReadClusterKeyFile(const std::string& path) {
  absl::StatusOr<std::string> text = ReadPrivateFile(path);
  if (!text.ok()) return text.status();
  std::vector<ClusterKey> keys;
  int number = 0;
  for (const absl::string_view whole : absl::StrSplit(*text, '\n')) {
    ++number;
    const std::string line(absl::StripAsciiWhitespace(whole));
    if (line.empty()) continue;
    ClusterKey key;
    if (keys.size() == 2 || !ParseKey(line, &key))
      return absl::InvalidArgumentError(
          absl::StrCat("cluster key file ", path, ", line ", number,
                       ": accepted are one or two lines of 64 hex digits (openssl rand -hex 32 makes one)"));
    keys.push_back(key);
  }
  if (keys.empty())
    return absl::InvalidArgumentError(absl::StrCat(
        "cluster key file ", path, ", line 1: empty; one or two lines of 64 hex digits are wanted"));
  return keys;
}

}  // namespace fastcontainer
