# One image for every part: docker-compose.yml says which command each container runs.
FROM python:3.13-slim AS build
WORKDIR /build
RUN python -m venv --without-pip /opt/coordinator
COPY requirements.lock ./
RUN pip --python /opt/coordinator/bin/python install --no-cache-dir --no-deps --require-hashes -r requirements.lock
COPY pyproject.toml LICENSE ./
COPY coordinator coordinator
COPY workers workers
COPY playbooks playbooks
# The build backend is in the lock file, so that this needs nothing from outside.
RUN pip --python /opt/coordinator/bin/python install --no-cache-dir --no-deps --no-build-isolation .

FROM python:3.13-slim
RUN useradd --system --uid 10001 --user-group --no-create-home --shell /usr/sbin/nologin coordinator \
    && install -d -o coordinator -g coordinator -m 0700 /var/lib/coordinator
COPY --from=build /opt/coordinator /opt/coordinator
ENV PATH=/opt/coordinator/bin:/usr/local/bin:/usr/bin:/bin \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    COORDINATOR_DATA_DIR=/var/lib/coordinator
WORKDIR /var/lib/coordinator
USER 10001:10001
EXPOSE 8080
CMD ["coordinator", "--help"]
