#include "examples/proxy/handover.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <utility>

namespace proxy {

namespace {

constexpr int kAskMs = 5000;
constexpr size_t kMostSockets = 64;
constexpr char kRelieved = 'R';

bool Fail(const std::string& path, int why, std::string* error) {
  *error = "takeover: " + path + ": " + std::strerror(why);
  return false;
}

sockaddr_un At(const std::string& path) {
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof(address.sun_path) - 1);
  return address;
}

union Control {
  cmsghdr aligned;
  char bytes[CMSG_SPACE(sizeof(int) * kMostSockets)];
};

// One message with all of `sockets`.
bool SendSockets(int connection, const std::vector<int>& sockets) {
  Control control = {};
  char count = static_cast<char>(sockets.size());
  iovec data = {&count, 1};
  msghdr message = {};
  message.msg_iov = &data;
  message.msg_iovlen = 1;
  message.msg_control = control.bytes;
  message.msg_controllen = CMSG_SPACE(sizeof(int) * sockets.size());
  cmsghdr* const header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(sizeof(int) * sockets.size());
  std::memcpy(CMSG_DATA(header), sockets.data(), sizeof(int) * sockets.size());
  return sendmsg(connection, &message, MSG_NOSIGNAL) == 1;
}

// 0, or an errno.
int ReceiveSockets(int connection, std::vector<int>* sockets) {
  pollfd ready = {connection, POLLIN, 0};
  if (poll(&ready, 1, kAskMs) <= 0) return ETIMEDOUT;
  Control control = {};
  char count = 0;
  iovec data = {&count, 1};
  msghdr message = {};
  message.msg_iov = &data;
  message.msg_iovlen = 1;
  message.msg_control = control.bytes;
  message.msg_controllen = sizeof control.bytes;
  const ssize_t got = recvmsg(connection, &message, MSG_CMSG_CLOEXEC);
  if (got < 0) return errno;
  const cmsghdr* const header = CMSG_FIRSTHDR(&message);
  if (got != 1 || header == nullptr || header->cmsg_type != SCM_RIGHTS) return EPROTO;
  sockets->resize((header->cmsg_len - CMSG_LEN(0)) / sizeof(int));
  std::memcpy(sockets->data(), CMSG_DATA(header), sockets->size() * sizeof(int));
  return 0;
}

}  // namespace

Predecessor::~Predecessor() {
  if (connection_ >= 0) close(connection_);
}

bool Predecessor::Ask(const std::string& path, std::vector<int>* sockets, std::string* error) {
  connection_ = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
  const sockaddr_un address = At(path);
  if (connect(connection_, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    const int why = errno;
    close(std::exchange(connection_, -1));
    // Nobody has been there yet, or who was there is dead.
    return why == ENOENT || why == ECONNREFUSED || Fail(path, why, error);
  }
  const int why = ReceiveSockets(connection_, sockets);
  return why == 0 || Fail(path, why, error);
}

void Predecessor::Relieve() {
  if (connection_ >= 0) send(connection_, &kRelieved, 1, MSG_NOSIGNAL);
}

bool Handover::Bind(const std::string& path, std::string* error) {
  listener_ = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  // In its place at once: at no time is there none.
  const std::string made = path + ".new";
  unlink(made.c_str());
  const sockaddr_un address = At(made);
  const mode_t mask = umask(0177);  // for this user only
  const int bound = bind(listener_, reinterpret_cast<const sockaddr*>(&address), sizeof address);
  const int why = errno;
  umask(mask);
  if (bound != 0) return Fail(path, why, error);
  if (listen(listener_, 4) == 0 && rename(made.c_str(), path.c_str()) == 0) return true;
  return Fail(path, errno, error);
}

void Handover::Offer(uv_loop_t* loop, const std::string& path, std::vector<int> sockets,
                     void (*relieved)(void* user_data), void* user_data) {
  if (path.empty()) return;
  std::string error;
  if (!Bind(path, &error)) {
    std::fprintf(stderr, "fc-proxy: %s; nobody will be able to take over\n", error.c_str());
    if (listener_ >= 0) close(std::exchange(listener_, -1));
    return;
  }
  path_ = path;
  sockets_ = std::move(sockets);
  relieved_ = relieved;
  user_data_ = user_data;
  uv_poll_start(&Add(loop, listener_)->poll, UV_READABLE, OnSuccessor);
}

Handover::Watch* Handover::Add(uv_loop_t* loop, int descriptor) {
  auto* const watch = new Watch{{}, this, descriptor};
  uv_poll_init(loop, &watch->poll, descriptor);
  watch->poll.data = watch;
  watches_.push_back(watch);
  return watch;
}

void Handover::Remove(Watch* watch) {
  watches_.remove(watch);
  uv_close(reinterpret_cast<uv_handle_t*>(&watch->poll), [](uv_handle_t* handle) {
    auto* const closed = static_cast<Watch*>(handle->data);
    close(closed->descriptor);
    delete closed;
  });
}

void Handover::OnSuccessor(uv_poll_t* poll, int, int) {
  auto* const watch = static_cast<Watch*>(poll->data);
  const int connection = accept4(watch->descriptor, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
  if (connection < 0) return;
  Handover& self = *watch->owner;
  Watch* const successor = self.Add(poll->loop, connection);
  if (!SendSockets(connection, self.sockets_)) return self.Remove(successor);
  uv_poll_start(&successor->poll, UV_READABLE, OnWord);
}

void Handover::OnWord(uv_poll_t* poll, int, int) {
  auto* const watch = static_cast<Watch*>(poll->data);
  Handover& self = *watch->owner;
  char word = 0;
  const bool relieved = recv(watch->descriptor, &word, 1, MSG_DONTWAIT) == 1 && word == kRelieved;
  if (!relieved) return self.Remove(watch);  // it has ended before it could serve
  self.path_.clear();                        // is the successor's
  self.Close();
  self.relieved_(self.user_data_);
}

void Handover::Close() {
  if (!path_.empty()) unlink(path_.c_str());
  path_.clear();
  while (!watches_.empty()) Remove(watches_.front());
  listener_ = -1;
}

}  // namespace proxy
