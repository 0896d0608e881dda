# Builds and installs etagfs: the program, mount.etagfs for mount(8), units, manual pages, completions.
#
#   make                                   the program, target/release/etagfs
#   make install                           below /usr/local
#   make install PREFIX=/usr DESTDIR=/tmp/staging
#   make deb                               a Debian package, in target/debian
#   make uninstall
#
# With BINARY=FILE an etagfs that is there already is installed, and nothing built.

PREFIX  ?= /usr/local
DESTDIR ?=
PROFILE ?= release

bindir   = $(PREFIX)/bin
# Where mount(8) looks for its helpers, whatever the prefix.
sbindir ?= $(if $(shell test -L /sbin && echo merged),/usr/sbin,/sbin)
unitdir  = $(PREFIX)/lib/systemd/system
mandir   = $(PREFIX)/share/man
docdir   = $(PREFIX)/share/doc/etagfs
bashdir  = $(PREFIX)/share/bash-completion/completions
zshdir   = $(PREFIX)/share/zsh/vendor-completions
fishdir  = $(PREFIX)/share/fish/vendor_completions.d

CARGO  ?= cargo
CARGO_DEB ?= cargo-deb
BINARY ?= target/$(if $(filter dev,$(PROFILE)),debug,$(PROFILE))/etagfs
staged  = target/staged

.PHONY: all pages install uninstall deb clean

all: $(BINARY)

# Cargo knows what is up to date.
ifeq ($(origin BINARY),file)
.PHONY: $(BINARY)
$(BINARY):
	$(CARGO) build --locked --profile $(PROFILE)
endif

# What is made of the program's own definition of its command line.
pages: $(BINARY)
	rm -rf $(staged)
	mkdir -p $(staged)/completions
	$(BINARY) man $(staged)/man
	$(BINARY) completions bash > $(staged)/completions/etagfs
	$(BINARY) completions zsh > $(staged)/completions/_etagfs
	$(BINARY) completions fish > $(staged)/completions/etagfs.fish
	gzip -9n $(staged)/man/*

install: pages
	install -D -m 755 $(BINARY) $(DESTDIR)$(bindir)/etagfs
	install -d $(DESTDIR)$(sbindir)
	ln -sf $(bindir)/etagfs $(DESTDIR)$(sbindir)/mount.etagfs
	ln -sf $(bindir)/etagfs $(DESTDIR)$(sbindir)/mount.fuse.etagfs
	install -d $(DESTDIR)$(unitdir)
	sed 's,/usr/bin/etagfs,$(bindir)/etagfs,' systemd/etagfs@.service > $(DESTDIR)$(unitdir)/etagfs@.service
	chmod 644 $(DESTDIR)$(unitdir)/etagfs@.service
	install -d $(DESTDIR)$(mandir)/man1 $(DESTDIR)$(mandir)/man8
	install -m 644 $(staged)/man/*.1.gz $(DESTDIR)$(mandir)/man1
	install -m 644 $(staged)/man/*.8.gz $(DESTDIR)$(mandir)/man8
	install -D -m 644 $(staged)/completions/etagfs $(DESTDIR)$(bashdir)/etagfs
	install -D -m 644 $(staged)/completions/_etagfs $(DESTDIR)$(zshdir)/_etagfs
	install -D -m 644 $(staged)/completions/etagfs.fish $(DESTDIR)$(fishdir)/etagfs.fish
	install -d $(DESTDIR)$(docdir)/examples
	install -m 644 README.md CHANGELOG.md $(DESTDIR)$(docdir)
	install -m 644 systemd/example.env systemd/fstab.example systemd/mnt-bucket.* $(DESTDIR)$(docdir)/examples

uninstall:
	rm -f $(DESTDIR)$(bindir)/etagfs $(DESTDIR)$(sbindir)/mount.etagfs $(DESTDIR)$(sbindir)/mount.fuse.etagfs
	rm -f $(DESTDIR)$(unitdir)/etagfs@.service
	rm -f $(DESTDIR)$(mandir)/man1/etagfs.1.gz $(DESTDIR)$(mandir)/man1/etagfs-*.1.gz $(DESTDIR)$(mandir)/man8/mount.etagfs.8.gz
	rm -f $(DESTDIR)$(bashdir)/etagfs $(DESTDIR)$(zshdir)/_etagfs $(DESTDIR)$(fishdir)/etagfs.fish
	rm -rf $(DESTDIR)$(docdir)

# The files of the package are named in Cargo.toml. Needs cargo-deb.
deb: pages
	$(CARGO_DEB) --no-build --profile $(PROFILE) --strip --no-dbgsym --output target/debian/

clean:
	rm -rf $(staged) target/debian
