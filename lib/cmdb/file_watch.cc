#include "lib/cmdb/file_watch.h"

#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include <utility>

namespace fastcontainer {

FileWatch::FileWatch(std::string path, Reactor& reactor, absl::AnyInvocable<void()> touched)
    : path_(std::move(path)), reactor_(reactor), touched_(std::move(touched)) {
  struct stat status {};
  if (stat(path_.c_str(), &status) == 0) {
    device_ = status.st_dev;
    inode_ = status.st_ino;
  }
  fd_ = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
  if (fd_ < 0) return;
  const bool watched =
      inotify_add_watch(fd_, path_.c_str(), IN_ATTRIB | IN_MOVE_SELF | IN_DELETE_SELF) >= 0 &&
      reactor_.Watch(fd_, EPOLLIN, [this](uint32_t) { Drain(); }).ok();
  if (watched) return;
  close(fd_);
  fd_ = -1;
}

FileWatch::~FileWatch() {
  if (fd_ < 0) return;
  reactor_.Unwatch(fd_);
  close(fd_);
}

void FileWatch::Drain() {
  alignas(inotify_event) char buffer[4096];
  while (read(fd_, buffer, sizeof(buffer)) > 0) {
  }
  touched_();
}

bool FileWatch::IsSameFile() const {
  struct stat status {};
  return stat(path_.c_str(), &status) == 0 && status.st_dev == device_ && status.st_ino == inode_;
}

// Sets the time of change to now. A write to the log is no signal: it comes before the commit is visible, and
// what becomes visible does so in shared memory, of which inotify does not tell.
void FileWatch::Touch(const std::string& path) { utimensat(AT_FDCWD, path.c_str(), nullptr, 0); }

}  // namespace fastcontainer
