FROM python:3.12-slim

ENV PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    PIP_NO_CACHE_DIR=1 \
    PIP_DISABLE_PIP_VERSION_CHECK=1 \
    DULY_DATA_DIR=/var/lib/duly

RUN useradd --system --create-home --home-dir /var/lib/duly duly \
    && install --directory --mode 0700 --owner duly --group duly /var/lib/duly/marks
WORKDIR /opt/duly

# The dependencies change less often than the code: their layer stays.
COPY requirements.lock ./
RUN pip install --require-hashes -r requirements.lock

COPY pyproject.toml hatch_build.py README.md LICENSE ./
COPY policies ./policies
COPY scheduler ./scheduler
COPY workers ./workers
RUN pip install --no-deps --no-build-isolation .

USER duly
WORKDIR /var/lib/duly
EXPOSE 8000
CMD ["python", "-m", "scheduler.api", "--host", "0.0.0.0"]
