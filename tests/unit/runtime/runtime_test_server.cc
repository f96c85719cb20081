// A container for the runtime's tests: an HTTP server that misbehaves to order. It ends by itself after two
// minutes, so that a test that was killed leaves nothing.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <string>
#include <string_view>

namespace {

constexpr unsigned kLongestLife = 120;

struct Orders {
  std::string address;
  int port = 0;
  int unready = 0;       // answers 503 so many times first
  int listen_after = 0;  // milliseconds
  int exit_code = -1;    // exits with it instead of listening
  bool never_listen = false;
  bool ignore_term = false;
  std::string daemon;  // file for the pid of a process that leaves the session
  bool daemon_ignores_term = false;
  std::string print;
};

Orders Parse(int argc, char** argv) {
  Orders orders;
  orders.address = argv[1];
  orders.port = std::atoi(argv[2]);
  for (int i = 3; i < argc; ++i) {
    const std::string_view name = argv[i];
    const auto value = [&] { return i + 1 < argc ? argv[++i] : ""; };
    if (name == "--unready") orders.unready = std::atoi(value());
    if (name == "--listen-after") orders.listen_after = std::atoi(value());
    if (name == "--exit") orders.exit_code = std::atoi(value());
    if (name == "--never-listen") orders.never_listen = true;
    if (name == "--ignore-term") orders.ignore_term = true;
    if (name == "--daemon") orders.daemon = value();
    if (name == "--daemon-ignores-term") orders.daemon_ignores_term = true;
    if (name == "--print") orders.print = value();
  }
  return orders;
}

// The classic way to get away from one's parent: fork, setsid, fork.
void Daemonize(const Orders& orders) {
  int ready[2];
  if (pipe(ready) != 0) std::exit(90);
  if (fork() == 0) {
    setsid();
    if (fork() == 0) {
      if (orders.daemon_ignores_term) signal(SIGTERM, SIG_IGN);
      alarm(kLongestLife);
      std::ofstream(orders.daemon) << getpid() << std::endl;
      close(ready[0]);
      close(ready[1]);
      for (;;) pause();
    }
    _exit(0);
  }
  close(ready[1]);
  char nothing;
  while (read(ready[0], &nothing, 1) > 0) {
  }
  close(ready[0]);
}

int Listen(const Orders& orders) {
  const int fd = socket(AF_INET, SOCK_STREAM, 0);
  const int on = 1;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
  sockaddr_in in{};
  in.sin_family = AF_INET;
  in.sin_port = htons(static_cast<uint16_t>(orders.port));
  inet_pton(AF_INET, orders.address.c_str(), &in.sin_addr);
  if (bind(fd, reinterpret_cast<sockaddr*>(&in), sizeof(in)) != 0 || listen(fd, 16) != 0) {
    std::perror("listen");
    std::exit(98);
  }
  return fd;
}

void Serve(int listener, int unready) {
  for (;;) {
    const int fd = accept(listener, nullptr, nullptr);
    if (fd < 0) continue;
    char request[2048];
    const ssize_t got = recv(fd, request, sizeof(request) - 1, 0);
    if (got > 0) {
      request[got] = '\0';
      std::fputs(request, stdout);
      const bool refuse = unready-- > 0;
      const std::string body = std::to_string(getpid()) + "\n";
      const std::string answer = std::string("HTTP/1.1 ") + (refuse ? "503 Not Yet" : "404 Not Found") +
                                 "\r\nContent-Length: " + std::to_string(body.size()) +
                                 "\r\nConnection: close\r\n\r\n" + body;
      send(fd, answer.data(), answer.size(), MSG_NOSIGNAL);
      std::printf("answered %d\n", refuse ? 503 : 404);
      std::fflush(stdout);
    }
    close(fd);
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) return 2;
  const Orders orders = Parse(argc, argv);
  alarm(kLongestLife);
  if (orders.ignore_term) signal(SIGTERM, SIG_IGN);
  if (!orders.daemon.empty()) Daemonize(orders);
  if (!orders.print.empty()) {
    std::puts(orders.print.c_str());
    std::fflush(stdout);
  }
  if (orders.exit_code >= 0) return orders.exit_code;
  if (orders.listen_after > 0) poll(nullptr, 0, orders.listen_after);
  while (orders.never_listen) pause();
  Serve(Listen(orders), orders.unready);
}
