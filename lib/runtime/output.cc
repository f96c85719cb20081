#include "lib/runtime/output.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "lib/runtime/state_folder.h"

namespace fastcontainer {
namespace {

constexpr off_t kLargestFile = 16 << 20;
constexpr off_t kTail = 512;

// The length of the UTF-8 sequence at the front of `text` (RFC 3629), 0 if it is none. Overlong forms and
// surrogates are not looked for: the text is for people.
size_t SequenceLength(std::string_view text) {
  const auto first = static_cast<unsigned char>(text[0]);
  const size_t length = first < 0x80   ? 1
                        : first < 0xc2 ? 0
                        : first < 0xe0 ? 2
                        : first < 0xf0 ? 3
                        : first < 0xf5 ? 4
                                       : 0;
  if (length > text.size()) return 0;
  for (size_t i = 1; i < length; ++i)
    if ((static_cast<unsigned char>(text[i]) & 0xc0) != 0x80) return 0;
  return length;
}

std::string OneLine(std::string_view text) {
  std::string line;
  while (!text.empty()) {
    const size_t length = SequenceLength(text);
    const bool control = length == 1 && (absl::ascii_iscntrl(static_cast<unsigned char>(text[0])));
    if (length == 0)
      line.push_back('?');
    else if (control)
      line.push_back(' ');
    else
      line.append(text.substr(0, length));
    text.remove_prefix(std::max<size_t>(length, 1));
  }
  return std::string(absl::StripAsciiWhitespace(line));
}

}  // namespace

absl::StatusOr<OutputFile> OpenOutput(const std::string& directory, std::string_view container) {
  OutputFile output;
  output.path = absl::StrCat(directory, "/", FileNameFor(container), ".log");
  struct stat info {};
  if (stat(output.path.c_str(), &info) == 0 && info.st_size > kLargestFile)
    rename(output.path.c_str(), absl::StrCat(output.path, ".1").c_str());
  output.fd = UniqueFd(open(output.path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640));
  if (!output.fd.valid() || fstat(output.fd.get(), &info) != 0) {
    const std::string message = absl::StrCat("cannot open ", output.path, ": ", std::strerror(errno));
    if (errno == ENOSPC || errno == EDQUOT || errno == EMFILE || errno == ENFILE)
      return absl::ResourceExhaustedError(message);
    return absl::UnavailableError(message);
  }
  output.begin = info.st_size;
  return output;
}

std::string OutputTail(const std::string& path, off_t begin) {
  const UniqueFd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  struct stat info {};
  if (!fd.valid() || fstat(fd.get(), &info) != 0 || info.st_size <= begin) return "";
  std::array<char, kTail> buffer;
  const off_t from = std::max(begin, info.st_size - kTail);
  const ssize_t got = pread(fd.get(), buffer.data(), buffer.size(), from);
  if (got <= 0) return "";
  std::string_view tail(buffer.data(), static_cast<size_t>(got));
  // A cut may have gone through a character.
  while (from > begin && !tail.empty() && (static_cast<unsigned char>(tail[0]) & 0xc0) == 0x80)
    tail.remove_prefix(1);
  return OneLine(tail);
}

}  // namespace fastcontainer
