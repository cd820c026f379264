# docker build -t regkit . && docker run --rm -p 8888:8888 regkit
# With --build-arg TORCH_INDEX=... PyTorch comes from another index, such as that of its smaller builds for CPUs.
FROM python:3.12-slim
ARG TORCH_INDEX
RUN useradd --create-home reader
USER reader
ENV PATH=/home/reader/.local/bin:$PATH
WORKDIR /home/reader/book
COPY --chown=reader . .
RUN python make.py here
EXPOSE 8888
CMD ["jupyter", "lab", "--ip=0.0.0.0", "--no-browser", "--LabApp.default_url=/lab/tree/notebooks/index.ipynb", \
     "--LabApp.app_settings_dir=/home/reader/book/tools/lab_settings"]
